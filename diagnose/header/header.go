// Package header reads the headers of IP, TCP and ICMP errors from bytes, for live packets and for capture files alike. It allocates
// nothing and does no I/O: what it returns points into the bytes it was given.
//
//	ip, state := header.ParseIP(b, len(b))
//	if state == header.Whole && ip.Protocol == header.ProtocolTCP {
//		tcp, state := header.ParseTCP(ip.Payload, ip.PayloadLength)
//		…
//	}
//
// A capture may hold only the first bytes of a packet, and an ICMP error quotes as little as 8 bytes of one: whatever is there is given,
// and the state says that something is not. It is not for link layers (diagnose/replay), reassembly or checksums: on the
// sending host offloading leaves checksums unfinished, so they tell nothing of what went over the wire.
package header

// State says how far a header can be believed.
type State uint8

const (
	Whole    State = iota // all of it is there, and makes sense
	Cut                   // the bytes end too early: what was read is right, the rest is zero
	Fragment              // a fragment other than the first: it has no transport header
	Broken                // contradicts itself, or is no such header at all: believe nothing
)

func (s State) String() string {
	switch s {
	case Whole:
		return "whole"
	case Cut:
		return "cut"
	case Fragment:
		return "fragment"
	case Broken:
		return "broken"
	}
	return "unknown"
}

// Numbers of protocols (IANA) that matter here.
const (
	ProtocolICMP   = 1
	ProtocolIPv4   = 4
	ProtocolTCP    = 6
	ProtocolIPv6   = 41
	ProtocolGRE    = 47
	ProtocolICMPv6 = 58
)

func be16(b []byte) uint16 { return uint16(b[0])<<8 | uint16(b[1]) }

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
