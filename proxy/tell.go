package proxy

import (
	"fmt"
	"time"

	"whyreset/diagnose"
	"whyreset/diagnose/record"
	"whyreset/proxy/relay"
)

// tell explains and records connections that ended. It runs on the relay's reporter.
func (s *Server) tell(all []relay.Ended) {
	for i := range all {
		e := &all[i]
		ev := e.Evidence()
		ev.Coverage.Packets, ev.Coverage.Witness = notBuilt, notBuilt
		known, ok := s.started[e.Number]
		if !ok {
			known = started{id: record.NewID(e.Start), at: e.Start}
		}
		delete(s.started, e.Number)
		s.log.Connection(&record.Connection{
			ID: known.id, Sequence: e.Number, Listener: e.Listener, Target: e.Target,
			Start: known.at, Duration: e.Duration, Destination: e.Upstream.Remote,
			Downstream: record.Leg(e.Downstream), Upstream: record.Leg(e.Upstream),
			Evidence: ev, Verdict: diagnose.Diagnose(ev),
		})
	}
	if lost := s.relay.Dropped(); lost > s.lost {
		s.log.Notice(record.Notice{Level: record.Error, Code: record.StoriesLost, Count: lost - s.lost,
			Message: fmt.Sprintf("%d connections ended faster than they could be explained and have no record", lost-s.lost)})
		s.lost = lost
		clear(s.started) // whose ends are among the lost is not known, and they must not pile up
	}
}

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

// notBuilt is why a source of evidence is not watched.
const notBuilt = "not built in this version"

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
