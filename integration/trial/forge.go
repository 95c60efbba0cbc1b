package trial

import (
	"net/netip"

	"whyreset/diagnose/header"
	"whyreset/integration/lab"
)

// seen is a packet on the wire.
type seen struct {
	ip    header.IP
	tcp   header.TCP
	end   uint32 // behind the highest byte of its direction, so far
	acked uint32 // the highest number that its direction has acknowledged, if it acks
	acks  bool
}

func readFrame(b []byte) (*seen, bool) {
	ip, tcp, ok := lab.ReadSegment(b)
	if !ok {
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
	forged := lab.Segment{
		From: netip.AddrPortFrom(s.ip.Src, s.tcp.SrcPort), To: netip.AddrPortFrom(s.ip.Dst, s.tcp.DstPort),
		Flags: header.RST, TTL: 64, ID: d.guess,
		// What was acknowledged is received; what is behind it may still come.
		Seq: later(s.end, reverse.acked) + ahead,
	}
	switch d.ack {
	case strayAck:
		forged.Ack = uint32(d.guess)<<16 | uint32(d.guess)
	case flagAck:
		forged.Ack = s.acked
		forged.Flags |= header.ACK
	}
	if d.Window {
		forged.Window = s.tcp.Window
	}
	if d.TTL {
		forged.TTL = s.ip.TTL - 1 // what it is behind the router
	}
	if d.ID { // as the real one would have it
		forged.FlowLabel, forged.DF, forged.ID = s.ip.FlowLabel, true, 0
		if d.ack == flagAck {
			forged.ID = uint16(s.ip.ID) + 1
		}
	}
	return forged.Bytes()
}
