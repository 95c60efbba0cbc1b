package proxy

import (
	"container/heap"
	"context"
	"fmt"
	"sync"
	"time"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/evidence"
	"whyreset/diagnose/record"
	"whyreset/proxy/watch"
)

// A verdict is provisional when its connection has ended, and final a little later: the packets that betray a forger, those of
// the peer that lives on, come after the reset. Only the final one is recorded.
const (
	leastWait  = 200 * time.Millisecond
	mostWait   = time.Second
	waitRTTs   = 4
	maxWaiting = 16 << 10 // connections; with their evidence some 100 MB at the very most
	finalTick  = 20 * time.Millisecond
)

// finals are the connections whose verdict is provisional, the first due in front.
type finals struct {
	mu      sync.Mutex
	waiting dueFirst
	early   uint64 // verdicts made final before their time, because too many waited
	filled  chan struct{}
}

type provisional struct {
	due time.Time
	*record.Connection
	watched watch.Connection
}

type dueFirst []provisional

func (d dueFirst) Len() int           { return len(d) }
func (d dueFirst) Less(i, j int) bool { return d[i].due.Before(d[j].due) }
func (d dueFirst) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *dueFirst) Push(x any)        { *d = append(*d, x.(provisional)) }
func (d *dueFirst) Pop() any {
	last := len(*d) - 1
	p := (*d)[last]
	(*d)[last] = provisional{}
	*d = (*d)[:last]
	return p
}

func newFinals() *finals { return &finals{filled: make(chan struct{}, 1)} }

// settled says that nothing that may still be seen would change the verdict: it is certain already and nobody lost anything, or
// it was our own doing.
func settled(v *diagnose.Verdict) bool {
	return v.Confidence == cause.Conclusive && (!v.Harmful() || v.Side == diagnose.SideProxy)
}

// patience is how long the connection's verdict stays provisional.
func patience(ev *evidence.Evidence) time.Duration {
	var rtt time.Duration
	for _, o := range ev.Observations {
		if s, ok := o.What.(evidence.Snapshot); ok {
			rtt = max(rtt, s.RTT)
		}
	}
	return min(mostWait, max(leastWait, waitRTTs*rtt))
}

// add lets one wait. If there is no room it returns the one that is due first, which then is final.
func (f *finals) add(p provisional) (over provisional, full bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	heap.Push(&f.waiting, p)
	if len(f.waiting) > maxWaiting {
		f.early++
		return heap.Pop(&f.waiting).(provisional), true
	}
	select {
	case f.filled <- struct{}{}:
	default:
	}
	return over, false
}

// hurried is how many verdicts were made final before their time.
func (f *finals) hurried() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.early
}

// due takes out one whose time has come.
func (f *finals) due(now time.Time) (p provisional, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.waiting) == 0 || f.waiting[0].due.After(now) {
		return p, false
	}
	return heap.Pop(&f.waiting).(provisional), true
}

// next is how long to wait until one is due; false when none waits.
func (f *finals) next() (time.Duration, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.waiting) == 0 {
		return 0, false
	}
	return max(finalTick, time.Until(f.waiting[0].due)), true
}

// conclude makes verdicts final when they are due, until ctx is done. What is left then is for flush.
func (s *Server) conclude(ctx context.Context) {
	var told time.Time
	for ctx.Err() == nil {
		wait, some := s.finals.next()
		if !some {
			select {
			case <-s.finals.filled:
			case <-ctx.Done():
			}
			continue
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		for now := time.Now(); ; {
			p, ok := s.finals.due(now)
			if !ok {
				break
			}
			s.final(&p)
		}
		if now := time.Now(); now.Sub(told) > tellEvery {
			told = now
			s.tellLosses()
		}
	}
}

// tellEvery is how often losses are told of at most.
const tellEvery = time.Second

// tellLosses records what evidence was lost since it was last told.
func (s *Server) tellLosses() {
	early := s.finals.hurried()
	if n := early - s.toldEarly; n > 0 {
		s.log.Notice(record.Notice{Level: record.Warn, Code: record.VerdictsEarly, Count: n,
			Message: fmt.Sprintf("%d verdicts did not wait for late packets, as more than %d connections were cut at once", n, maxWaiting)})
	}
	s.toldEarly = early
	if s.packets == nil {
		return
	}
	lost := s.packets.Lost()
	if n := lost - s.toldLost; n > 0 {
		s.log.Notice(record.Notice{Level: record.Warn, Code: record.PacketsLost, Count: n,
			Message: fmt.Sprintf("%d packets came faster than they could be looked at, and connections of that time have less evidence", n)})
	}
	s.toldLost = lost
}

// flush makes all verdicts final at once: the proxy stops.
func (s *Server) flush() {
	for {
		p, ok := s.finals.due(time.Now().Add(mostWait))
		if !ok {
			break
		}
		s.final(&p)
	}
	s.tellLosses()
}

// final asks the sources, and records what they make of the connection.
func (s *Server) final(p *provisional) {
	s.sources.Complete(p.Evidence, &p.watched)
	p.Verdict = diagnose.Diagnose(p.Evidence)
	s.log.Connection(p.Connection)
}
