package diagnose_test

import (
	"net/netip"
	"time"

	"whyreset/diagnose/evidence"
)

const (
	down = evidence.Downstream
	up   = evidence.Upstream

	ms  = time.Millisecond
	sec = time.Second
)

// story makes the evidence that the relay would hand over, in its order: endings as they come, the account
// of both legs at the first of them, and at the end what we did, the account and TCP_INFO.
type story struct {
	ev      evidence.Evidence
	moved   [3]evidence.Transfer
	snaps   [3]*evidence.Snapshot
	end     time.Duration
	reset   bool
	account bool

	// Of a capture: what each end sends next.
	capture bool
	next    [3]uint32
	id      [3]uint16
	stamp   [3]uint32
	streams [3]evidence.Stream
}

func remote() *story { return tell("192.0.2.7:40000", "198.51.100.5:5432") }
func local() *story  { return tell("127.0.0.1:40000", "127.0.0.1:5432") }

func tell(client, server string) *story {
	s := &story{}
	s.ev.Client, s.ev.Server = netip.MustParseAddrPort(client), netip.MustParseAddrPort(server)
	s.ev.OwnDown, s.ev.OwnUp = netip.MustParseAddrPort("192.0.2.1:15432"), netip.MustParseAddrPort("192.0.2.1:50000")
	s.ev.Coverage = evidence.Coverage{Sockets: evidence.Watched, Packets: "not asked for", Witness: "not asked for"}
	s.saw(0, down, evidence.Accept, evidence.Connected, 0)
	return s
}

func (s *story) add(at time.Duration, leg evidence.Leg, w evidence.What) *story {
	s.ev.Observations = append(s.ev.Observations, evidence.Observation{At: at, Leg: leg, What: w})
	s.end = max(s.end, at)
	return s
}

func (s *story) saw(at time.Duration, leg evidence.Leg, call evidence.Call, what evidence.Saw, e evidence.Errno) *story {
	return s.add(at, leg, evidence.Socket{Call: call, Saw: what, Errno: e})
}

func (s *story) connected(at time.Duration) *story {
	return s.saw(at, up, evidence.Connect, evidence.Connected, 0)
}

// sent moves bytes from one leg to the other.
func (s *story) sent(at time.Duration, from evidence.Leg, n uint64) *story {
	s.saw(at, from, evidence.Recv, evidence.Data, 0)
	s.moved[from].In += n
	s.moved[from].LastIn = at
	s.moved[from.Other()].Out += n
	s.moved[from.Other()].LastOut = at
	return s
}

func (s *story) ending() {
	if !s.account {
		s.account = true
		s.add(s.end, down, s.moved[down])
		s.add(s.end, up, s.moved[up])
	}
}

func (s *story) fin(at time.Duration, leg evidence.Leg) *story {
	s.end = max(s.end, at)
	s.ending()
	return s.saw(at, leg, evidence.Poll, evidence.FIN, 0).add(at, leg.Other(), evidence.PassedFIN)
}

// fails ends a leg by an error, with that many bytes of ours unacknowledged.
func (s *story) fails(at time.Duration, leg evidence.Leg, e evidence.Errno, unacked uint32) *story {
	s.end = max(s.end, at)
	s.ending()
	s.reset = true
	if s.snaps[leg] == nil {
		s.snaps[leg] = &evidence.Snapshot{State: 7, MinRTT: 5 * ms, SndWnd: 65536}
	}
	s.snaps[leg].Outstanding = unacked
	call := evidence.Poll
	if len(s.ev.Observations) > 0 && leg == up && !s.isConnected() {
		call = evidence.Connect
	}
	return s.saw(at, leg, call, evidence.Error, e)
}

func (s *story) isConnected() bool {
	for _, o := range s.ev.Observations {
		if w, ok := o.What.(evidence.Socket); ok && w.Saw == evidence.Connected && o.Leg == up {
			return true
		}
	}
	return false
}

func (s *story) did(at time.Duration, leg evidence.Leg, a evidence.Action) *story {
	s.end = max(s.end, at)
	s.ending()
	s.reset = s.reset || a != evidence.IdleTimeout
	return s.add(at, leg, a)
}

// looks gives the leg's TCP_INFO.
func (s *story) looks(leg evidence.Leg, snap evidence.Snapshot) *story {
	s.snaps[leg] = &snap
	return s
}

func (s *story) evidence() *evidence.Evidence {
	if s.capture {
		for _, leg := range []evidence.Leg{down, up} {
			s.add(s.end, evidence.NoLeg, s.streams[leg])
		}
		return &s.ev
	}
	how := evidence.Closed
	if s.reset {
		how = evidence.PassedReset
	}
	for _, leg := range []evidence.Leg{down, up} {
		s.add(s.end, leg, how)
		s.add(s.end, leg, s.moved[leg])
		if s.snaps[leg] == nil {
			s.snaps[leg] = &evidence.Snapshot{State: 1, MinRTT: 5 * ms, SndWnd: 65536}
		}
		s.add(s.end, leg, *s.snaps[leg])
	}
	return &s.ev
}
