package evidence

import "net/netip"

// ICMP is an ICMP error about one of our packets, as the socket's error queue or a capture gave it.
type ICMP struct {
	Type, Code uint8
	IPv6       bool
	From       netip.Addr // who sent it; invalid when unknown
	Errno      Errno      // what the kernel made of it; zero when it came from a capture
}

func (ICMP) source() Source { return Sockets }
