package watch

import (
	"net/netip"
	"sync/atomic"
)

// endpoint is an address or, if that is invalid, a port at any.
type endpoint struct {
	addr      netip.Addr
	port      uint16
	listening bool // ours; else one that we dial
}

// maxEndpoints is how many the kernel's filter looks for. Beyond, it looks for their ports, and beyond as many of those it lets all
// TCP pass.
const maxEndpoints = 64

// concern is what packets must have to do with to concern us.
type concern struct {
	endpoints []endpoint
	listening map[uint16]bool
	dialled   map[endpoint]bool
	ports     [1 << 16 / 64]atomic.Uint64 // those dialled at any address
}

// add says whether the endpoint is new.
func (c *concern) add(e endpoint) bool {
	if c.listening == nil {
		c.listening, c.dialled = map[uint16]bool{}, map[endpoint]bool{}
	}
	switch {
	case e.listening:
		if c.listening[e.port] {
			return false
		}
		c.listening[e.port] = true
	case !e.addr.IsValid():
		if c.knows(e.port) {
			return false
		}
		c.ports[e.port/64].Or(1 << (e.port % 64))
	default:
		if c.dialled[e] || c.knows(e.port) {
			return false
		}
		c.dialled[e] = true
	}
	c.endpoints = append(c.endpoints, e)
	return true
}

// knows says whether all connections to that port are ours.
func (c *concern) knows(port uint16) bool { return c.ports[port/64].Load()>>(port%64)&1 != 0 }

// listens says whether a listener of ours is there.
func (c *concern) listens(at netip.AddrPort) bool { return c.listening[at.Port()] }

// dials says whether we dial that address.
func (c *concern) dials(to netip.AddrPort) bool {
	return c.knows(to.Port()) || c.dialled[endpoint{addr: to.Addr(), port: to.Port()}]
}

// looked are the endpoints that the filter looks for; none: it lets all TCP pass.
func (c *concern) looked() []endpoint {
	if len(c.endpoints) <= maxEndpoints {
		return c.endpoints
	}
	var ports []endpoint
	seen := map[uint16]bool{}
	for _, e := range c.endpoints {
		if !seen[e.port] {
			seen[e.port] = true
			ports = append(ports, endpoint{port: e.port})
		}
	}
	if len(ports) > maxEndpoints {
		return nil
	}
	return ports
}
