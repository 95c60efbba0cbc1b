package replay

import (
	"encoding/binary"
	"math"
	"time"
)

// Types of blocks (draft-ietf-opsawg-pcapng §4). All others are passed over.
const (
	sectionHeader        = 0x0a0d0d0a // the same in both byte orders
	interfaceDescription = 1
	packetBlock          = 2 // obsolete
	simplePacket         = 3
	enhancedPacket       = 6
)

// pcapng reads the newer format: sections of either byte order, each with interfaces of their own link type and clock.
type pcapng struct {
	in         *source
	order      binary.ByteOrder
	interfaces []captureInterface
}

// maxInterfaces is more than any host has; a file of nothing but interfaces should not fill the memory.
const maxInterfaces = 1 << 16

type captureInterface struct {
	link   LinkType
	snap   uint32 // zero: no limit
	tick   float64
	ticks  uint64 // per second; zero when tick is not a whole fraction of a second
	offset int64  // seconds to add
}

func (p *pcapng) next(f *Frame) error {
	for {
		kind, body, err := p.block()
		if err != nil {
			return err
		}
		switch kind {
		case interfaceDescription:
			err = p.addInterface(body)
		case enhancedPacket:
			if len(body) < 20 {
				return p.in.broken("an enhanced packet block of %d bytes, less than its fields need", len(body))
			}
			return p.packet(f, p.order.Uint32(body), body[4:])
		case packetBlock:
			if len(body) < 20 {
				return p.in.broken("a packet block of %d bytes, less than its fields need", len(body))
			}
			return p.packet(f, uint32(p.order.Uint16(body)), body[4:])
		case simplePacket:
			return p.simple(f, body)
		}
		if err != nil {
			return err
		}
	}
}

// block reads a block whole and gives what stands between its two lengths.
func (p *pcapng) block() (kind uint32, body []byte, err error) {
	if err := p.in.start(); err != nil {
		return 0, nil, err
	}
	b, err := p.in.take(8)
	if err != nil {
		return 0, nil, p.in.broken("a block's header: %w", err)
	}
	if binary.LittleEndian.Uint32(b) == sectionHeader {
		return sectionHeader, nil, p.section([4]byte(b[4:]))
	}
	if p.order == nil {
		return 0, nil, p.in.broken("a block before the section header")
	}
	kind = p.order.Uint32(b)
	length := p.order.Uint32(b[4:])
	if length < 12 || length%4 != 0 || length > maxRecord {
		return 0, nil, p.in.broken("a block of type %#x claims %d bytes; a multiple of 4 from 12 to %d is allowed", kind, length, maxRecord)
	}
	body, err = p.in.take(int(length) - 8)
	if err != nil {
		return 0, nil, p.in.broken("a block of type %#x: %w", kind, err)
	}
	body, trailer := body[:length-12], body[length-12:]
	if again := p.order.Uint32(trailer); again != length {
		return 0, nil, p.in.broken("a block of type %#x is %d bytes long at its start and %d at its end", kind, length, again)
	}
	return kind, body, nil
}

// section begins a section: its byte order holds from here, and the interfaces before it are gone.
func (p *pcapng) section(length [4]byte) error {
	b, err := p.in.take(4)
	if err != nil {
		return p.in.broken("a section header: %w", err)
	}
	switch [4]byte(b) {
	case [4]byte{0x1a, 0x2b, 0x3c, 0x4d}:
		p.order = binary.BigEndian
	case [4]byte{0x4d, 0x3c, 0x2b, 0x1a}:
		p.order = binary.LittleEndian
	default:
		return p.in.broken("a section header with the byte-order magic % x", b)
	}
	n := p.order.Uint32(length[:])
	if n < 28 || n%4 != 0 || n > maxRecord {
		return p.in.broken("a section header claims %d bytes; a multiple of 4 from 28 to %d is allowed", n, maxRecord)
	}
	if _, err := p.in.take(int(n) - 12); err != nil {
		return p.in.broken("a section header: %w", err)
	}
	p.interfaces = p.interfaces[:0]
	return nil
}

func (p *pcapng) addInterface(b []byte) error {
	if len(b) < 8 {
		return p.in.broken("an interface description of %d bytes, less than its fields need", len(b))
	}
	if len(p.interfaces) == maxInterfaces {
		return p.in.broken("more than %d interfaces in a section", maxInterfaces)
	}
	const ( // options
		end        = 0
		resolution = 9
		offset     = 14
	)
	i := captureInterface{link: LinkType(p.order.Uint16(b)), snap: p.order.Uint32(b[4:]), ticks: 1e6}
	for b = b[8:]; len(b) >= 4; {
		code, length := p.order.Uint16(b), int(p.order.Uint16(b[2:]))
		padded := (length + 3) &^ 3
		if code == end || 4+padded > len(b) {
			break
		}
		value := b[4 : 4+length]
		switch {
		case code == resolution && length == 1:
			i.setResolution(value[0])
		case code == offset && length == 8:
			i.offset = int64(p.order.Uint64(value))
		}
		b = b[4+padded:]
	}
	p.interfaces = append(p.interfaces, i)
	return nil
}

// setResolution takes the option's byte: a negative power of 10, or of 2 with the highest bit set.
func (i *captureInterface) setResolution(b byte) {
	base, exponent := 10.0, float64(b&0x7f)
	if b&0x80 != 0 {
		base = 2
	}
	i.ticks, i.tick = 0, math.Pow(base, -exponent)
	if ticks := math.Pow(base, exponent); ticks <= 1e9 {
		i.ticks = uint64(ticks)
	}
}

func (i *captureInterface) time(ticks uint64) time.Time {
	if i.ticks == 0 {
		seconds, fraction := math.Modf(float64(ticks) * i.tick)
		return time.Unix(int64(seconds)+i.offset, int64(fraction*1e9))
	}
	return time.Unix(int64(ticks/i.ticks)+i.offset, int64(ticks%i.ticks*1e9/i.ticks))
}

// packet reads what enhanced and old packet blocks share: time, lengths, data.
func (p *pcapng) packet(f *Frame, number uint32, b []byte) error {
	if uint64(number) >= uint64(len(p.interfaces)) {
		return p.in.broken("frame %d is of interface %d; the section has described %d", f.Number, number, len(p.interfaces))
	}
	i := &p.interfaces[number]
	captured := p.order.Uint32(b[8:])
	if uint64(captured) > uint64(len(b)-16) {
		return p.in.broken("frame %d claims %d bytes in a block with room for %d", f.Number, captured, len(b)-16)
	}
	f.At = i.time(uint64(p.order.Uint32(b))<<32 | uint64(p.order.Uint32(b[4:])))
	f.Link, f.Wire, f.Data = i.link, wireLength(p.order.Uint32(b[12:]), captured), b[16:16+captured]
	return nil
}

func (p *pcapng) simple(f *Frame, b []byte) error {
	if len(p.interfaces) == 0 {
		return p.in.broken("frame %d is of interface 0; the section has described none", f.Number)
	}
	if len(b) < 4 {
		return p.in.broken("a simple packet block of %d bytes, less than its fields need", len(b))
	}
	i := &p.interfaces[0]
	wire := p.order.Uint32(b)
	captured := min(wire, uint32(len(b)-4))
	if i.snap != 0 {
		captured = min(captured, i.snap)
	}
	f.Link, f.Wire, f.Data = i.link, wireLength(wire, captured), b[4:4+captured]
	return nil
}
