package replay

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// The RST of 192.0.2.1:40000 to 198.51.100.2:443 that every link layer is tested with.
const (
	ipv4RST = `45000028 00010000 40060000 c0000201 c6336402 9c4001bb 00000005 00000000 50040000 00000000`
	ipv6RST = `60000000 00140640 20010db8000000000000000000000001 20010db8000000000000000000000002 9c4001bb 00000005 00000000 50040000 00000000`
)

var start = time.Unix(1700000000, 123456789)

// writePcap makes a capture in the classic format.
func writePcap(order binary.AppendByteOrder, magic uint32, link LinkType, frames ...[]byte) []byte {
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint32(b, 4<<16|2) // the version's halves are read by nobody
	b = append(b, make([]byte, 8)...)
	b = order.AppendUint32(b, 1<<16)
	b = order.AppendUint32(b, uint32(link))
	fraction := uint32(start.Nanosecond())
	if magic != 0xa1b23c4d {
		fraction /= 1000
	}
	for i, f := range frames {
		b = order.AppendUint32(b, uint32(start.Unix())+uint32(i))
		b = order.AppendUint32(b, fraction)
		b = order.AppendUint32(b, uint32(len(f)))
		b = order.AppendUint32(b, uint32(len(f)))
		if magic == 0xa1b2cd34 {
			b = append(b, make([]byte, 8)...)
		}
		b = append(b, f...)
	}
	return b
}

func plainPcap(link LinkType, frames ...[]byte) []byte {
	return writePcap(binary.LittleEndian, 0xa1b2c3d4, link, frames...)
}

// ngBlock makes a pcapng block.
func ngBlock(order binary.AppendByteOrder, kind uint32, body []byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	b := order.AppendUint32(nil, kind)
	b = order.AppendUint32(b, uint32(len(body)+12))
	b = append(b, body...)
	return order.AppendUint32(b, uint32(len(body)+12))
}

func ngSection(order binary.AppendByteOrder) []byte {
	b := order.AppendUint32(nil, 0x1a2b3c4d)
	b = append(b, make([]byte, 4)...)
	return ngBlock(order, sectionHeader, append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))
}

// ngInterface describes an interface; resolution 0 leaves the option out.
func ngInterface(order binary.AppendByteOrder, link LinkType, resolution byte) []byte {
	b := order.AppendUint16(nil, uint16(link))
	b = append(b, make([]byte, 6)...)
	if resolution != 0 {
		b = order.AppendUint16(b, 9)
		b = order.AppendUint16(b, 1)
		b = append(b, resolution, 0, 0, 0)
	}
	return ngBlock(order, interfaceDescription, b)
}

func ngPacket(order binary.AppendByteOrder, kind uint32, number uint32, ticks uint64, wire int, data []byte) []byte {
	b := order.AppendUint32(nil, number)
	if kind == packetBlock {
		b = order.AppendUint16(nil, uint16(number))
		b = append(b, 0, 0) // drops
	}
	b = order.AppendUint32(b, uint32(ticks>>32))
	b = order.AppendUint32(b, uint32(ticks))
	b = order.AppendUint32(b, uint32(len(data)))
	b = order.AppendUint32(b, uint32(wire))
	return ngBlock(order, kind, append(b, data...))
}

func join(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func read(t testing.TB, r *Reader) (frames []Frame, err error) {
	t.Helper()
	for {
		f, err := r.Next()
		if err != nil {
			return frames, err
		}
		f.Data = append([]byte(nil), f.Data...)
		frames = append(frames, f)
	}
}
