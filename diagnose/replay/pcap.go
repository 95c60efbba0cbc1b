package replay

import (
	"encoding/binary"
	"time"
)

// pcap reads the classic format (draft-ietf-opsawg-pcap): one link type, one time resolution.
type pcap struct {
	in     *source
	order  binary.ByteOrder
	unit   time.Duration // of the fraction in a record's time
	header int           // bytes of a record's header
	link   LinkType
}

// newPcap reads the file's header; in holds at least its first 4 bytes.
func newPcap(in *source) (*pcap, error) {
	b, err := in.take(24)
	p := &pcap{in: in, order: binary.LittleEndian, header: 16}
	if b[0] == 0xa1 {
		p.order = binary.BigEndian
	}
	switch p.order.Uint32(b) {
	case 0xa1b2c3d4:
		p.unit = time.Microsecond
	case 0xa1b23c4d:
		p.unit = time.Nanosecond
	case 0xa1b2cd34: // Kuznetzov's: interface, protocol and packet type follow the lengths
		p.unit, p.header = time.Microsecond, 24
	default:
		return nil, ErrNotCapture
	}
	if err != nil {
		return nil, in.broken("the file header: %w", err)
	}
	p.link = LinkType(p.order.Uint32(b[20:])) // the upper 16 bits tell of frame check sequences
	return p, nil
}

func (p *pcap) next(f *Frame) error {
	if err := p.in.start(); err != nil {
		return err
	}
	b, err := p.in.take(p.header)
	if err != nil {
		return p.in.broken("the header of frame %d: %w", f.Number, err)
	}
	seconds, fraction := p.order.Uint32(b), p.order.Uint32(b[4:])
	captured, wire := p.order.Uint32(b[8:]), p.order.Uint32(b[12:])
	if captured > maxRecord {
		return p.in.broken("frame %d claims %d bytes, more than any frame has", f.Number, captured)
	}
	if f.Data, err = p.in.take(int(captured)); err != nil {
		return p.in.broken("frame %d: %w", f.Number, err)
	}
	f.At = time.Unix(int64(seconds), int64(fraction)*int64(p.unit))
	f.Link, f.Wire = p.link, wireLength(wire, captured)
	return nil
}

// wireLength mends the lengths of writers that left the one on the wire out, or spoilt it.
func wireLength(wire, captured uint32) int {
	if wire < captured || wire > maxRecord {
		wire = captured
	}
	return int(wire)
}
