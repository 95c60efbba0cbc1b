package replay

import (
	"net/netip"
	"time"

	"whyreset/diagnose/header"
)

// Packet is what a frame holds when every wrapping is off.
type Packet struct {
	Frame int
	At    time.Time
	Kind  Kind
	IP    header.IP
	TCP   header.TCP       // of Segment
	ICMP  header.ICMPError // of ICMPError
	Cut   bool             // the capture does not hold all of it
}

// Kind says what to make of a packet. Only Segment and ICMPError say something of a connection; the rest is counted.
type Kind uint8

const (
	Other     Kind = iota // no IP, another protocol, or a tunnel that is not looked into
	Segment               // TCP, at least up to its flags
	ICMPError             // about some packet, of whatever protocol
	Fragment              // other than the first of its packet: nothing tells whose it is
	TooShort              // the capture cut it before the flags of TCP, or within the header of IP
	Broken                // a header that contradicts itself
	kinds
)

func (k Kind) String() string {
	return [...]string{"other", "segment", "icmp error", "fragment", "too short", "broken"}[k]
}

// Decode looks into a frame. The packet points into the frame's data.
func Decode(f *Frame) Packet {
	p := Packet{Frame: f.Number, At: f.At, Cut: len(f.Data) < f.Wire}
	var state header.State
	var found bool
	p.IP, state, found = unwrap(f.Link, f.Data, f.Wire)
	if !found {
		return p
	}
	switch state {
	case header.Broken:
		p.Kind = Broken
		return p
	case header.Cut:
		p.Kind = TooShort
		return p
	case header.Fragment:
		p.Kind = Fragment
		return p
	}
	switch p.IP.Protocol {
	case header.ProtocolTCP:
		p.TCP, state = header.ParseTCP(p.IP.Payload, p.IP.PayloadLength)
		switch {
		case state == header.Broken:
			p.Kind = Broken
		case p.TCP.Known < 14: // without flags it is nothing
			p.Kind = TooShort
		default:
			p.Kind = Segment
		}
	case header.ProtocolICMP, header.ProtocolICMPv6:
		if e, ok := header.ParseICMPError(p.IP.Payload, p.IP.Protocol); ok {
			p.Kind, p.ICMP = ICMPError, e
		}
	}
	return p
}

func (p *Packet) src() netip.AddrPort { return netip.AddrPortFrom(p.IP.Src, p.TCP.SrcPort) }
func (p *Packet) dst() netip.AddrPort { return netip.AddrPortFrom(p.IP.Dst, p.TCP.DstPort) }

// end is the sequence number behind the segment; SYN and FIN take one each.
func (p *Packet) end() uint32 {
	end := p.TCP.Seq + uint32(p.TCP.PayloadLength)
	if p.TCP.Flags&header.SYN != 0 {
		end++
	}
	if p.TCP.Flags&header.FIN != 0 {
		end++
	}
	return end
}
