package evidence

import "net/netip"

// ICMP is an ICMP error about a packet of the connection, as the socket's error queue or a capture gave it.
type ICMP struct {
	Type, Code uint8
	IPv6       bool
	From       netip.Addr // who sent it; invalid when unknown
	Errno      Errno      // what the kernel made of it; zero when it came from a capture
	Own        bool       // From is known to be an address of this host; our end of the leg need not be said

	// What only a capture knows.
	OnWire bool   // it was seen as a packet
	About  Leg    // the end that sent the packet it is about: Downstream, Upstream or, of ours, NoLeg
	Seq    uint32 // of the segment it is about
	MTU    uint32 // of the next hop, when it is about size; else zero
	TTL    uint8  // of the error itself
	Frame  uint64 // its number in the capture, from 1; zero: seen live
}

func (i ICMP) source() Source {
	if i.OnWire {
		return Packets
	}
	return Sockets
}
