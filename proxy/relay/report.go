package relay

import "time"

// maxEnded bounds what one loop keeps for the reporter. At the reporter's own pace it holds about a
// tenth of a second of the fastest churn measured; beyond, stories are dropped and counted, and bytes flow.
const maxEnded = 8192

// gather is how long the reporter lets stories gather once there is one: it is woken a hundred times a
// second at most, not once for each connection.
const gather = 10 * time.Millisecond

// maxSpare bounds the room that is kept for the next stories, in stories of 1 kB: ten times what gathers at the fastest churn
// measured.
const maxSpare = 1024

func (r *Relay) wakeReporter() {
	select {
	case r.fresh <- struct{}{}:
	default:
	}
}

// tell leaves a notice for the reporter.
func (l *loop) tell(n Notice) {
	if l.relay.opt.Notice == nil {
		return
	}
	l.mu.Lock()
	if len(l.notices) < 16 {
		l.notices = append(l.notices, n)
	}
	l.mu.Unlock()
	l.relay.wakeReporter()
}

// Dropped is the number of connections that ended and could not be told, as the reporter was too slow.
func (r *Relay) Dropped() uint64 { return r.dropped.Load() }

// report hands over what the loops have left, until the relay is closed and all is handed over.
func (r *Relay) report() {
	defer r.reporter.Done()
	var spare []Ended
	for stop := false; !stop; {
		select {
		case <-r.fresh:
			select {
			case <-time.After(gather):
			case <-r.stopping:
			}
		case <-r.stopping:
			stop = true
		}
		for _, l := range r.loops {
			l.mu.Lock()
			batch, notices, started := l.ended, l.notices, l.started
			l.ended, l.notices, l.started = spare[:0], nil, nil
			l.mu.Unlock()
			if len(started) > 0 {
				now := time.Now()
				clockNow := clockAt(now)
				for i := range started {
					started[i].Start = now.Add(-time.Duration(clockNow - started[i].accepted))
				}
				r.opt.Started(started)
			}
			for _, n := range notices {
				r.opt.Notice(n)
			}
			if len(batch) > 0 {
				now := time.Now()
				clockNow := clockAt(now)
				for i := range batch {
					batch[i].Start = now.Add(-time.Duration(clockNow - batch[i].accepted))
				}
				r.opt.Ended(batch)
				clear(batch)
			}
			if spare = batch; cap(spare) > maxSpare {
				spare = nil // after a storm
			}
		}
	}
}
