package trial

import (
	"encoding/binary"

	"whyreset/diagnose/header"
)

// seen is a packet on the wire.
type seen struct {
	ip    header.IP
	tcp   header.TCP
	end   uint32 // behind the highest byte of its direction, so far
	acked uint32 // the highest number that its direction has acknowledged, if it acks
	acks  bool
}

const ethernetHeader = 14

func readFrame(b []byte) (*seen, bool) {
	if len(b) <= ethernetHeader {
		return nil, false
	}
	b = b[ethernetHeader:]
	ip, state := header.ParseIP(b, len(b))
	if state != header.Whole || ip.Protocol != header.ProtocolTCP {
		return nil, false
	}
	tcp, state := header.ParseTCP(ip.Payload, ip.PayloadLength)
	if state != header.Whole {
		return nil, false
	}
	s := &seen{ip: ip, tcp: tcp, end: tcp.Seq + uint32(tcp.PayloadLength), acked: tcp.Ack, acks: tcp.Flags&header.ACK != 0}
	if tcp.Flags&(header.SYN|header.FIN) != 0 {
		s.end++
	}
	return s, true
}

// packet is a reset in the name of the one who sent s. reverse is what went the other way.
func (s *seen) packet(d disguise, reverse *seen, ahead uint32) []byte {
	tcp := make([]byte, 20)
	binary.BigEndian.PutUint16(tcp[0:], s.tcp.SrcPort)
	binary.BigEndian.PutUint16(tcp[2:], s.tcp.DstPort)
	// What was acknowledged is received; what is behind it may still come.
	binary.BigEndian.PutUint32(tcp[4:], later(s.end, reverse.acked)+ahead)
	tcp[12], tcp[13] = 5<<4, byte(header.RST)
	switch d.ack {
	case strayAck:
		binary.BigEndian.PutUint32(tcp[8:], uint32(d.guess)<<16|uint32(d.guess))
	case flagAck:
		binary.BigEndian.PutUint32(tcp[8:], s.acked)
		tcp[13] |= byte(header.ACK)
	}
	if d.Window {
		binary.BigEndian.PutUint16(tcp[14:], s.tcp.Window)
	}
	ttl := byte(64)
	if d.TTL {
		ttl = s.ip.TTL - 1 // what it is behind the router
	}
	var ip []byte
	if s.ip.Version == 6 {
		ip = make([]byte, 40)
		ip[0] = 6 << 4
		if d.ID {
			binary.BigEndian.PutUint32(ip, 6<<28|s.ip.FlowLabel)
		}
		binary.BigEndian.PutUint16(ip[4:], uint16(len(tcp)))
		ip[6], ip[7] = header.ProtocolTCP, ttl
		copy(ip[8:], s.ip.Src.AsSlice())
		copy(ip[24:], s.ip.Dst.AsSlice())
	} else {
		ip = make([]byte, 20)
		ip[0], ip[8], ip[9] = 4<<4|5, ttl, header.ProtocolTCP
		id := d.guess
		if d.ID { // as the real one would have it
			ip[6] = 1 << 6 // DF
			if id = 0; d.ack == flagAck {
				id = uint16(s.ip.ID) + 1
			}
		}
		binary.BigEndian.PutUint16(ip[4:], id)
		copy(ip[12:], s.ip.Src.AsSlice())
		copy(ip[16:], s.ip.Dst.AsSlice())
	}
	binary.BigEndian.PutUint16(tcp[16:], checksum(s, tcp))
	return append(ip, tcp...)
}

// checksum is that of RFC 9293 §3.1, over the pseudo-header too.
func checksum(s *seen, tcp []byte) uint16 {
	sum := uint32(header.ProtocolTCP) + uint32(len(tcp))
	for _, part := range [][]byte{s.ip.Src.AsSlice(), s.ip.Dst.AsSlice(), tcp} {
		for i := 0; i < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
