package scenario

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"

	"whyreset/diagnose/header"
	"whyreset/integration/lab"
)

// seen is a TCP segment that came by the forger.
type seen struct {
	ip  header.IP
	tcp header.TCP
}

func (s *seen) end() uint32 { return s.tcp.Seq + uint32(s.tcp.PayloadLength) }

// forger sits on the router and cuts a connection in the name of one of its ends, whose last packet it has kept to copy from.
type forger struct {
	host  *lab.Host
	armed atomic.Bool
	last  [2]*seen // of each direction: towards the server's port, and from there
}

// forge has a forger watch the connections to a port, who, once armed, sends what write returns when the next data comes by: towards
// the server's port if up, else from there. trigger is that segment, name the last one of the end in whose name it is to forge.
func (e *Env) forge(port uint16, up bool, write func(trigger, name *seen) []segment) (arm func(), err error) {
	f := &forger{host: e.Net.Router}
	stop, err := f.host.Tap("toserver", func(frame []byte) {
		s := parse(frame)
		if s == nil || s.tcp.DstPort != port && s.tcp.SrcPort != port {
			return
		}
		by := 0
		if s.tcp.SrcPort == port {
			by = 1
		}
		f.last[by] = s
		if (by == 0) == up && s.tcp.PayloadLength > 0 && f.last[1-by] != nil && f.armed.CompareAndSwap(true, false) {
			for _, forged := range write(s, f.last[1-by]) {
				f.host.Send(forged.bytes()) // if it cannot be sent the connection goes on, and that will show
			}
		}
	})
	if err != nil {
		return nil, err
	}
	e.later(stop)
	return func() { f.armed.Store(true) }, nil
}

const ethernet = 14

func parse(frame []byte) *seen {
	if len(frame) < ethernet {
		return nil
	}
	ip, state := header.ParseIP(frame[ethernet:], len(frame)-ethernet)
	if state != header.Whole || ip.Protocol != header.ProtocolTCP {
		return nil
	}
	tcp, state := header.ParseTCP(ip.Payload, ip.PayloadLength)
	if state != header.Whole {
		return nil
	}
	return &seen{ip, tcp}
}

// segment is a TCP segment without data that is to be forged.
type segment struct {
	from, to     netip.AddrPort
	flags        header.Flags
	seq, ack     uint32
	window       uint16
	ttl, tos     uint8
	id           uint16 // IPv4 only, as is df
	df           bool
	label        uint32 // IPv6 only
	stamped      bool
	tsval, tsecr uint32
}

// reply is the bare reset with which a host answers a packet of a connection that it does not know, as tcp_v4_send_reset makes it.
func reply(trigger *seen) segment {
	return segment{from: netip.AddrPortFrom(trigger.ip.Dst, trigger.tcp.DstPort), to: netip.AddrPortFrom(trigger.ip.Src, trigger.tcp.SrcPort),
		flags: header.RST, seq: trigger.tcp.Ack, ttl: 64, df: true}
}

// abort is the reset with which a live socket ends, as tcp_send_active_reset makes it, but without the marks of a certain stack.
func abort(trigger *seen) segment {
	s := reply(trigger)
	s.flags, s.ack = header.RST|header.ACK, trigger.end()
	return s
}

// like copies the marks of the end in whose name it is sent.
func (s segment) like(name *seen) segment {
	s.ttl, s.tos, s.label, s.df = name.ip.TTL, name.ip.TOS, name.ip.FlowLabel, name.ip.DF
	s.id, s.window = uint16(name.ip.ID)+1, name.tcp.Window
	if o := name.tcp.Options; o.HasTimestamps {
		s.stamped, s.tsval, s.tsecr = true, o.TSVal+1, o.TSEcr
	}
	return s
}

func (s segment) bytes() []byte {
	length := 20
	if s.stamped {
		length = 32
	}
	tcp := make([]byte, length)
	binary.BigEndian.PutUint16(tcp[0:], s.from.Port())
	binary.BigEndian.PutUint16(tcp[2:], s.to.Port())
	binary.BigEndian.PutUint32(tcp[4:], s.seq)
	binary.BigEndian.PutUint32(tcp[8:], s.ack)
	tcp[12], tcp[13] = byte(length/4)<<4, byte(s.flags)
	binary.BigEndian.PutUint16(tcp[14:], s.window)
	if s.stamped {
		copy(tcp[20:], []byte{1, 1, 8, 10})
		binary.BigEndian.PutUint32(tcp[24:], s.tsval)
		binary.BigEndian.PutUint32(tcp[28:], s.tsecr)
	}
	src, dst := s.from.Addr().AsSlice(), s.to.Addr().AsSlice()
	binary.BigEndian.PutUint16(tcp[16:], checksum(src, dst, []byte{0, 6, byte(length >> 8), byte(length)}, tcp))
	if s.from.Addr().Is4() {
		ip := make([]byte, 20, 20+length)
		ip[0], ip[1], ip[8], ip[9] = 0x45, s.tos, s.ttl, 6
		binary.BigEndian.PutUint16(ip[2:], uint16(20+length))
		binary.BigEndian.PutUint16(ip[4:], s.id)
		if s.df {
			ip[6] = 0x40
		}
		copy(ip[12:], src)
		copy(ip[16:], dst)
		return append(ip, tcp...)
	}
	ip := make([]byte, 40, 40+length)
	binary.BigEndian.PutUint32(ip, 6<<28|uint32(s.tos)<<20|s.label)
	binary.BigEndian.PutUint16(ip[4:], uint16(length))
	ip[6], ip[7] = 6, s.ttl
	copy(ip[8:], src)
	copy(ip[24:], dst)
	return append(ip, tcp...)
}

// checksum is RFC 1071's. All parts are of even length.
func checksum(parts ...[]byte) uint16 {
	sum := uint32(0)
	for _, part := range parts {
		for i := 0; i < len(part); i += 2 {
			sum += uint32(part[i])<<8 | uint32(part[i+1])
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
