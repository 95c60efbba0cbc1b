package relay

import (
	"net/netip"
	"sync"
)

// dialled are our upstream legs by their addresses and ports: to know a connection that comes back to us, and whose leg
// has what a client that comes back needs. In shards, because all loops use it for every connection.
type dialled struct{ shards [64]shard }

type shard struct {
	sync.Mutex
	legs map[fourTuple]owner
}

type fourTuple struct{ from, to netip.AddrPort }

// owner is the pair that a leg belongs to, in one use of its slot. Only its loop may look into it.
type owner struct {
	loop       *loop
	index, gen uint32
	asClient   bool // the leg has the address and port of the pair's own client
}

func (d *dialled) shard(from netip.AddrPort) *shard {
	return &d.shards[from.Port()%uint16(len(d.shards))]
}

func (d *dialled) add(from, to netip.AddrPort, by owner) {
	s := d.shard(from)
	s.Lock()
	if s.legs == nil {
		s.legs = map[fourTuple]owner{}
	}
	s.legs[fourTuple{from, to}] = by
	s.Unlock()
}

// remove forgets a leg, unless it is another's by now: once the far end has reset a leg, the kernel gives its addresses and
// ports away although its pair is still there.
func (d *dialled) remove(from, to netip.AddrPort, by owner) {
	s := d.shard(from)
	s.Lock()
	if s.legs[fourTuple{from, to}] == by {
		delete(s.legs, fourTuple{from, to})
	}
	s.Unlock()
}

// find tells whose upstream leg has these addresses and ports. A leg is added right after connect(2), so another loop may
// accept it a moment earlier: then the next hop finds it.
func (d *dialled) find(from, to netip.AddrPort) (owner, bool) {
	s := d.shard(from)
	s.Lock()
	by, ok := s.legs[fourTuple{from, to}]
	s.Unlock()
	return by, ok
}

func (l *loop) owner(p *pair) owner {
	return owner{l, p.index, p.gen, p.legs[up].local == p.legs[down].remote}
}
