package relay

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// Limits bound how many connections are carried at a time; zero is no limit. They can change while the
// relay runs: what is carried already goes on, and counts for PerSource only if there was a limit when it
// came.
type Limits struct {
	Connections int // in all
	PerSource   int // of one client address
}

// SetLimits changes the limits.
func (r *Relay) SetLimits(l Limits) {
	r.limits.Connections.Store(int64(l.Connections))
	r.limits.PerSource.Store(int64(l.PerSource))
}

// limits are the limits in force and the count of what is carried by source. The map holds live
// connections only, so a stranger cannot make it grow beyond them.
type limits struct {
	Connections, PerSource atomic.Int64

	mu      sync.Mutex
	sources map[netip.Addr]int
}

// exceeded says whether a pair that has just been accepted is one too many, and counts it otherwise.
func (l *limits) exceeded(p *pair, active int64) bool {
	if most := l.Connections.Load(); most > 0 && active > most {
		return true
	}
	most := l.PerSource.Load()
	if most <= 0 {
		return false
	}
	source := p.legs[down].remote.Addr()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sources == nil {
		l.sources = map[netip.Addr]int{}
	}
	if int64(l.sources[source]) >= most {
		return true
	}
	l.sources[source]++
	p.counted = true
	return false
}

// ended takes a pair that was counted out of the count.
func (l *limits) ended(p *pair) {
	if !p.counted {
		return
	}
	source := p.legs[down].remote.Addr()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sources[source]--; l.sources[source] <= 0 {
		delete(l.sources, source)
	}
}
