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
//
// Where clients choose whom they are connected to, a port is known only when somebody has chosen it. Until there is one, all TCP
// concerns us, and from then on every SYN: whoever chooses a new port was seen to begin.
type concern struct {
	transparent bool
	endpoints   []endpoint
	listening   map[uint16]bool
	dialled     map[endpoint]bool
	ports       [1 << 16 / 64]atomic.Uint64 // those dialled at any address
	narrow      bool                        // the filter looks for one of those
	chosen      bool                        // and one is known
	many        bool                        // more ports than the filter looks for
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

// want adds an endpoint to those that the filter looks for.
func (c *concern) want(e endpoint) {
	c.narrow = c.narrow || !e.listening && !e.addr.IsValid()
	if !c.many {
		c.endpoints = append(c.endpoints, e)
		c.widen()
	}
}

// know makes an endpoint known, now that all packets of its connections get past the filter.
func (c *concern) know(e endpoint) {
	if c.listening == nil {
		c.listening, c.dialled = map[uint16]bool{}, map[endpoint]bool{}
	}
	switch {
	case e.listening:
		c.listening[e.port] = true
	case e.addr.IsValid() && len(c.dialled) < maxEndpoints:
		c.dialled[e] = true
	default:
		c.ports[e.port/64].Or(1 << (e.port % 64))
	}
	c.chosen = c.narrow
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
	all       bool // all TCP
}

func (c *concern) wanted() wanted {
	return wanted{endpoints: c.endpoints, syn: c.transparent, sample: c.sample, all: c.many || c.transparent && !c.narrow}
}

// widen forgets addresses, or all, when there are more endpoints than the filter looks for: what is known stays small, and a port
// or an address more changes nothing.
func (c *concern) widen() {
	if len(c.endpoints) <= maxEndpoints {
		return
	}
	ports := map[uint16]bool{}
	var fewer []endpoint
	for _, e := range c.endpoints {
		if !ports[e.port] {
			ports[e.port] = true
			fewer = append(fewer, endpoint{port: e.port})
		}
		if !e.listening {
			c.ports[e.port/64].Or(1 << (e.port % 64))
		}
	}
	c.endpoints = fewer
	clear(c.dialled)
	if len(fewer) > maxEndpoints {
		c.endpoints, c.many = nil, true
	}
}
