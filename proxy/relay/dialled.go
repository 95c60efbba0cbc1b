package relay

import (
	"net/netip"
	"sync"
)

// dialled is the set of our upstream legs, to know a connection that comes back to us. In shards,
// because all loops use it for every connection.
type dialled struct{ shards [64]shard }

type shard struct {
	sync.Mutex
	legs map[fourTuple]struct{}
}

type fourTuple struct{ from, to netip.AddrPort }

func (d *dialled) shard(from netip.AddrPort) *shard {
	return &d.shards[from.Port()%uint16(len(d.shards))]
}

func (d *dialled) add(from, to netip.AddrPort) {
	s := d.shard(from)
	s.Lock()
	if s.legs == nil {
		s.legs = map[fourTuple]struct{}{}
	}
	s.legs[fourTuple{from, to}] = struct{}{}
	s.Unlock()
}

func (d *dialled) remove(from, to netip.AddrPort) {
	s := d.shard(from)
	s.Lock()
	delete(s.legs, fourTuple{from, to})
	s.Unlock()
}

// has says whether an accepted connection from one address to another is an upstream leg of ours.
// A leg is added right after connect(2), so another loop may accept it a moment earlier: then the
// next hop finds it.
func (d *dialled) has(from, to netip.AddrPort) bool {
	s := d.shard(from)
	s.Lock()
	_, ok := s.legs[fourTuple{from, to}]
	s.Unlock()
	return ok
}
