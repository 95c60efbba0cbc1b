package lab

import (
	"encoding/binary"
	"net/netip"

	"whyreset/diagnose/header"
)

// Segment is a TCP segment without data, as one writes it who is not the sender: for [Host.Send].
type Segment struct {
	From, To     netip.AddrPort // both of one IP version
	Flags        header.Flags
	Seq, Ack     uint32 // Ack is written with the ACK flag and without
	Window       uint16
	TTL, TOS     uint8
	ID           uint16 // IPv4 only, as is DF; the kernel fills in a zero (raw(7))
	DF           bool
	FlowLabel    uint32 // IPv6 only
	Stamped      bool   // with a timestamp option: TSVal and TSEcr
	TSVal, TSEcr uint32
}

const ethernetHeader = 14 // bytes

// ReadSegment reads the headers of a TCP segment in a [Frame]; ok is false for whatever else it holds.
func ReadSegment(frame []byte) (ip header.IP, tcp header.TCP, ok bool) {
	if len(frame) <= ethernetHeader {
		return ip, tcp, false
	}
	ip, state := header.ParseIP(frame[ethernetHeader:], len(frame)-ethernetHeader)
	if state != header.Whole || ip.Protocol != header.ProtocolTCP {
		return ip, tcp, false
	}
	tcp, state = header.ParseTCP(ip.Payload, ip.PayloadLength)
	return ip, tcp, state == header.Whole
}

// Bytes is the segment with its IP header, and a right TCP checksum.
func (s Segment) Bytes() []byte {
	length := 20
	if s.Stamped {
		length = 32
	}
	tcp := make([]byte, length)
	binary.BigEndian.PutUint16(tcp[0:], s.From.Port())
	binary.BigEndian.PutUint16(tcp[2:], s.To.Port())
	binary.BigEndian.PutUint32(tcp[4:], s.Seq)
	binary.BigEndian.PutUint32(tcp[8:], s.Ack)
	tcp[12], tcp[13] = byte(length/4)<<4, byte(s.Flags)
	binary.BigEndian.PutUint16(tcp[14:], s.Window)
	if s.Stamped {
		copy(tcp[20:], []byte{1, 1, 8, 10}) // two of no operation, then the option's kind and length (RFC 7323 §3.2)
		binary.BigEndian.PutUint32(tcp[24:], s.TSVal)
		binary.BigEndian.PutUint32(tcp[28:], s.TSEcr)
	}
	src, dst := s.From.Addr().AsSlice(), s.To.Addr().AsSlice()
	binary.BigEndian.PutUint16(tcp[16:], checksum(src, dst, []byte{0, header.ProtocolTCP, byte(length >> 8), byte(length)}, tcp))
	if s.From.Addr().Is4() {
		ip := make([]byte, 20, 20+length)
		ip[0], ip[1], ip[8], ip[9] = 4<<4|5, s.TOS, s.TTL, header.ProtocolTCP
		binary.BigEndian.PutUint16(ip[2:], uint16(20+length))
		binary.BigEndian.PutUint16(ip[4:], s.ID)
		if s.DF {
			ip[6] = 1 << 6
		}
		copy(ip[12:], src)
		copy(ip[16:], dst)
		return append(ip, tcp...)
	}
	ip := make([]byte, 40, 40+length)
	binary.BigEndian.PutUint32(ip, 6<<28|uint32(s.TOS)<<20|s.FlowLabel)
	binary.BigEndian.PutUint16(ip[4:], uint16(length))
	ip[6], ip[7] = header.ProtocolTCP, s.TTL
	copy(ip[8:], src)
	copy(ip[24:], dst)
	return append(ip, tcp...)
}

// checksum is RFC 1071's. All parts are of even length.
func checksum(parts ...[]byte) uint16 {
	sum := uint32(0)
	for _, part := range parts {
		for i := 0; i < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
