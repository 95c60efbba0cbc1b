package relay

import "time"

// Started is a connection that has lasted for Options.StartAfter and goes on.
type Started struct {
	Number   uint64 // the same that its Ended will bear
	Listener string
	Target   string
	Start    time.Time

	Downstream, Upstream Leg

	accepted int64
}

// waitingStart is a pair to be looked at when it has lasted long enough. All wait equally long, so the
// first in is the first due.
type waitingStart struct {
	at    int64
	index uint32
	gen   uint32
}

// awaitStart has the pair told of when it lasts.
func (l *loop) awaitStart(p *pair) {
	if after := l.relay.opt.StartAfter; after > 0 && l.relay.opt.Started != nil {
		l.starts = append(l.starts, waitingStart{at: p.accepted + int64(after), index: p.index, gen: p.gen})
	}
}

// tellStarts tells of pairs that have lasted long enough. Those that ended meanwhile are passed over.
func (l *loop) tellStarts() {
	n := 0
	for n < len(l.starts) && l.starts[n].at <= l.now {
		if p := l.pairs[l.starts[n].index]; p.gen == l.starts[n].gen && p.stage == open {
			l.tellStart(p)
		}
		n++
	}
	if n > 0 {
		l.starts = append(l.starts[:0], l.starts[n:]...)
	}
}

func (l *loop) tellStart(p *pair) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.started) >= maxEnded {
		l.relay.dropped.Add(1)
		return
	}
	d, u := &p.legs[down], &p.legs[up]
	l.started = append(l.started, Started{
		Number: p.number, Listener: p.listener.Name, Target: p.listener.Target.Name, accepted: p.accepted,
		Downstream: Leg{d.local, d.remote}, Upstream: Leg{u.local, u.remote},
	})
	l.relay.wakeReporter()
}
