package kernel

import "net/netip"

// Origin is as whom a socket dials. Its zero value leaves everything to the kernel.
type Origin struct {
	From        netip.AddrPort // invalid: of the kernel's choice; with port 0 only the port is, made at connect(2)
	Transparent bool           // From need not be an address of this host; CAP_NET_RAW or CAP_NET_ADMIN
	Mark        uint32         // SO_MARK; zero: none. CAP_NET_ADMIN, or CAP_NET_RAW since kernel 5.17
}
