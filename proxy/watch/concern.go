package watch

import (
	"net/netip"
	"slices"
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
//
// Where clients choose whom they are connected to, a port is known only when somebody has chosen it. Until there is one, all TCP
// concerns us, and from then on every SYN: whoever chooses a new port was seen to begin.
type concern struct {
	transparent bool
	endpoints   []endpoint
	listening   map[uint16]bool
	dialled     map[endpoint]bool
	ports       [1 << 16 / 64]atomic.Uint64 // those dialled at any address
	chosen      bool                        // one of those is known
	sample      bool                        // there are too many packets, and some are enough
}

// has says whether the endpoint is known.
func (c *concern) has(e endpoint) bool {
	switch {
	case e.listening:
		return c.listening[e.port]
	case !e.addr.IsValid():
		return c.knows(e.port)
	}
	return c.dialled[e] || c.knows(e.port)
}

// add makes an endpoint known.
func (c *concern) add(e endpoint) {
	if c.listening == nil {
		c.listening, c.dialled = map[uint16]bool{}, map[endpoint]bool{}
	}
	switch {
	case e.listening:
		c.listening[e.port] = true
	case !e.addr.IsValid():
		c.ports[e.port/64].Or(1 << (e.port % 64))
		c.chosen = true
	default:
		c.dialled[e] = true
	}
	c.endpoints = append(c.endpoints, e)
}

// knows says whether all connections to that port are ours.
func (c *concern) knows(port uint16) bool { return c.ports[port/64].Load()>>(port%64)&1 != 0 }

// listens says whether a listener of ours is there.
func (c *concern) listens(at netip.AddrPort) bool { return c.listening[at.Port()] }

// dials says whether we dial that address.
func (c *concern) dials(to netip.AddrPort) bool {
	return c.knows(to.Port()) || c.dialled[endpoint{addr: to.Addr(), port: to.Port()}]
}

// covers says whether every packet between the two gets past the filter.
func (c *concern) covers(a, b netip.AddrPort) bool {
	return !c.transparent || !c.chosen || c.listens(a) || c.listens(b) || c.dials(a) || c.dials(b)
}

// wanted is what a filter lets pass.
type wanted struct {
	endpoints []endpoint
	syn       bool // and every SYN
	sample    bool // of ordinary packets only one in sampleOf
	all       bool // and everything else of TCP
}

// wanted is that of what is known, and of one more endpoint.
func (c *concern) wanted(more ...endpoint) wanted {
	w := wanted{endpoints: slices.Concat(c.endpoints, more), syn: c.transparent, sample: c.sample}
	if len(w.endpoints) > maxEndpoints {
		var ports []endpoint
		seen := map[uint16]bool{}
		for _, e := range w.endpoints {
			if !seen[e.port] {
				seen[e.port] = true
				ports = append(ports, endpoint{port: e.port})
			}
		}
		w.endpoints = ports
	}
	chosen := c.chosen || slices.ContainsFunc(more, func(e endpoint) bool { return !e.listening && !e.addr.IsValid() })
	w.all = len(w.endpoints) > maxEndpoints || c.transparent && !chosen
	return w
}
