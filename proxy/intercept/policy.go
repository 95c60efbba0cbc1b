package intercept

import (
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
)

// Refusal is why a connection is not carried.
type Refusal uint8

const (
	Fine          Refusal = iota
	NotRedirected         // it came straight to the listener and has no other destination
	OwnAddress            // its destination is an address of this host
	LinkLocal             // its destination is link-local, or a cloud's metadata service
	NoUnicast             // its destination is no single host
	Denied                // its destination is on the deny list
	NotAllowed            // there is an allow list, and its destination is not on it
)

var refusals = [...]string{
	Fine:          "",
	NotRedirected: "not redirected: it came straight to the listener, so there is nowhere to go on to",
	OwnAddress:    "its destination is an address of this host, which is not allowed unless asked for",
	LinkLocal:     "its destination is a link-local or metadata address, which is not allowed unless asked for",
	NoUnicast:     "its destination is not the address of a single host",
	Denied:        "its destination is on the deny list",
	NotAllowed:    "its destination is not on the allow list",
}

func (r Refusal) String() string {
	if int(r) < len(refusals) {
		return refusals[r]
	}
	return fmt.Sprintf("refusal %d", uint8(r))
}

// Policy says where intercepted connections may go. A destination on both lists is denied.
type Policy struct {
	Allow, Deny []netip.Prefix // looked through one by one; an empty Allow allows all
	Own         bool           // also addresses of this host, as the proxy on a server's host needs
	LinkLocal   bool           // also link-local addresses and metadata services

	addresses atomic.Pointer[map[netip.Addr]struct{}]
}

// metadata services of clouds that are not link-local: AWS by IPv6, Google by IPv6, Alibaba.
var metadata = [...]netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"),
	netip.MustParseAddr("fd20:ce::254"),
	netip.MustParseAddr("100.100.100.200"),
}

// Refresh reads the addresses of this host, in the network namespace of the calling thread. Until it has been called only
// loopback addresses count as the host's own. To be called again from time to time: addresses come and go.
func (p *Policy) Refresh() error {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("addresses of this host: %w", err)
	}
	addresses := make(map[netip.Addr]struct{}, len(all))
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			addresses[prefix.Addr().Unmap()] = struct{}{}
		}
	}
	p.addresses.Store(&addresses)
	return nil
}

// own works without a policy too.
func (p *Policy) own(a netip.Addr) bool {
	if a.IsLoopback() || a.IsUnspecified() {
		return true
	}
	if p == nil {
		return false
	}
	addresses := p.addresses.Load()
	if addresses == nil {
		return false
	}
	_, ok := (*addresses)[a.WithZone("")]
	return ok
}

func (p *Policy) refuses(a netip.Addr) Refusal {
	a = a.WithZone("")
	switch {
	case a.IsMulticast() || a.IsUnspecified() || a == broadcast:
		return NoUnicast
	case contain(p.Deny, a):
		return Denied
	case !p.Own && p.own(a):
		return OwnAddress
	case !p.LinkLocal && guarded(a):
		return LinkLocal
	case len(p.Allow) > 0 && !contain(p.Allow, a):
		return NotAllowed
	}
	return Fine
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

func guarded(a netip.Addr) bool {
	if a.IsLinkLocalUnicast() {
		return true
	}
	for _, m := range metadata {
		if a == m {
			return true
		}
	}
	return false
}

func contain(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
