package proxy

import (
	"fmt"
	"time"

	"whyreset/diagnose"
	"whyreset/diagnose/evidence"
	"whyreset/diagnose/record"
	"whyreset/proxy/relay"
	"whyreset/proxy/watch"
)

// tell explains connections that ended, and records them as soon as their verdict is final. It runs on the relay's reporter.
func (s *Server) tell(all []relay.Ended) {
	for i := range all {
		e := &all[i]
		ev := e.Evidence()
		known, ok := s.started[e.Number]
		if !ok {
			known = started{id: record.NewID(e.Start), at: e.Start}
		}
		delete(s.started, e.Number)
		s.judge(e, &record.Connection{
			ID: known.id, Sequence: e.Number, Listener: e.Listener, Target: e.Target,
			Start: known.at, Duration: e.Duration, Destination: e.Upstream.Remote,
			Downstream: record.Leg(e.Downstream), Upstream: record.Leg(e.Upstream), Evidence: ev,
		})
	}
	if lost := s.relay.Dropped(); lost > s.lost {
		s.log.Notice(record.Notice{Level: record.Error, Code: record.StoriesLost, Count: lost - s.lost,
			Message: fmt.Sprintf("%d connections ended faster than they could be explained and have no record", lost-s.lost)})
		s.lost = lost
		clear(s.started) // whose ends are among the lost is not known, and they must not pile up
	}
}

// judge records the connection, at once if its verdict is final by the sockets alone.
func (s *Server) judge(e *relay.Ended, c *record.Connection) {
	s.sources.Without(c.Evidence, notNeeded)
	c.Verdict = diagnose.Diagnose(c.Evidence)
	if settled(&c.Verdict) || !s.sources.Active() {
		s.log.Connection(c)
		return
	}
	p := provisional{due: time.Now().Add(patience(c.Evidence)), Connection: c, watched: watch.Connection{
		Accepted: e.Start, Ended: e.Start.Add(e.Duration), FirstEnd: e.Start.Add(firstEnd(c.Evidence, e.Duration)),
		Down: watch.Leg{Own: e.Downstream.Local, Far: e.Downstream.Remote},
		Up:   watch.Leg{Own: e.Upstream.Local, Far: e.Upstream.Remote},
	}}
	if s.rewritten[e.Listener] {
		p.watched.Meant = e.Upstream.Remote
	}
	if over, full := s.finals.add(p); full {
		s.final(&over)
	}
}

// firstEnd is when the first ending on either leg was noticed, or otherwise, since the connection was accepted.
func firstEnd(ev *evidence.Evidence, otherwise time.Duration) time.Duration {
	for _, o := range ev.Observations {
		switch what := o.What.(type) {
		case evidence.Socket:
			if what.Saw == evidence.FIN || what.Saw == evidence.Error {
				return o.At
			}
		case evidence.Action:
			return o.At
		}
	}
	return otherwise
}

// notNeeded is why sources were not asked about a connection: the sockets alone have settled how it ended, and that it did no harm.
const notNeeded = "not needed"

// started is what the record of the end must repeat from that of the start.
type started struct {
	id string
	at time.Time
}

// tellStarted records connections that have lasted and go on. It runs on the relay's reporter.
func (s *Server) tellStarted(all []relay.Started) {
	for i := range all {
		e := &all[i]
		known := started{id: record.NewID(e.Start), at: e.Start}
		s.started[e.Number] = known
		s.log.Started(&record.Connection{
			ID: known.id, Sequence: e.Number, Listener: e.Listener, Target: e.Target, Start: known.at,
			Destination: e.Upstream.Remote, Downstream: record.Leg(e.Downstream), Upstream: record.Leg(e.Upstream),
		})
	}
}

// notice records trouble of the relay's own, and its end.
func (s *Server) notice(n relay.Notice) {
	if n.Errno == 0 {
		s.log.Notice(record.Notice{Level: record.Info, Code: record.AcceptRecovered, Listener: n.Listener,
			Message: fmt.Sprintf("listener %s accepts again", n.Listener)})
		return
	}
	s.log.Notice(record.Notice{Level: record.Error, Code: record.AcceptFailed, Listener: n.Listener, Error: n.Errno.Error(),
		Message: fmt.Sprintf("listener %s cannot accept and tries again in %v", n.Listener, n.Pause)})
}
