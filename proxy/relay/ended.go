package relay

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"whyreset/diagnose/evidence"
)

// Ended is the story of one pair that is over: a fixed-size value, so that telling it costs the loop a
// copy and no more.
type Ended struct {
	Number   uint64 // of the connection, from 1, over all loops
	Listener string
	Target   string // the upstream as configured
	Start    time.Time
	Duration time.Duration

	Downstream, Upstream Leg

	accepted, end int64
	nevents       uint8
	events        [maxEvents]event
	first         account
	transfers     [2]transfer
	snaps         [2]snapshot
	icmp          icmpError // at zero: none
}

// Leg are the two ends of one leg; invalid when there was none.
type Leg struct{ Local, Remote netip.AddrPort }

// summarise appends the pair's story to what the reporter will fetch.
func (l *loop) summarise(p *pair) {
	if l.relay.opt.Ended == nil {
		return
	}
	l.mu.Lock()
	if len(l.ended) >= maxEnded {
		l.mu.Unlock()
		l.relay.dropped.Add(1)
		return
	}
	l.ended = append(l.ended, Ended{})
	e := &l.ended[len(l.ended)-1]
	e.Number, e.Listener, e.Target = p.number, p.listener.Name, p.listener.Target.Name
	e.Duration = time.Duration(l.now - p.accepted)
	e.Downstream = Leg{p.legs[down].local, p.legs[down].remote}
	e.Upstream = Leg{p.legs[up].local, p.legs[up].remote}
	e.accepted, e.nevents, e.events, e.first = p.accepted, p.nevents, p.events, p.first
	e.end, e.snaps = l.now, *p.snaps
	for i := range p.legs {
		e.transfers[i] = p.legs[i].transfer
	}
	if p.icmp != nil {
		e.icmp = *p.icmp
	}
	l.mu.Unlock()
	l.relay.wakeReporter()
}

// Evidence puts the story into the engine's words. Sources other than sockets are the caller's to add.
func (e *Ended) Evidence() *evidence.Evidence {
	ev := &evidence.Evidence{Client: e.Downstream.Remote, Server: e.Upstream.Remote,
		OwnDown: e.Downstream.Local, OwnUp: e.Upstream.Local}
	ev.Coverage.Sockets = evidence.Watched
	// The events, two accounts and a snapshot of each leg, and an ICMP error.
	ev.Observations = make([]evidence.Observation, 0, int(e.nevents)+7)
	add := func(at int64, leg evidence.Leg, what evidence.What) {
		ev.Observations = append(ev.Observations, evidence.Observation{At: time.Duration(at - e.accepted), Leg: leg, What: what})
	}
	// An ending that was the end at once needs no account of its own.
	accounted := e.first.at == 0 || e.first.at == e.end && e.first.legs == e.transfers
	for i := range e.events[:e.nevents] {
		v := &e.events[i]
		if !accounted && v.at >= e.first.at && (v.saw == evidence.FIN || v.saw == evidence.Error || v.did != 0) {
			accounted = true
			for i := range e.first.legs {
				add(e.first.at, name(i), e.transfer(&e.first.legs[i]))
			}
		}
		if v.did != evidence.NoAction {
			add(v.at, v.leg, v.did)
			continue
		}
		add(v.at, v.leg, told(v.call, v.saw, v.errno))
	}
	if e.icmp.at != 0 {
		add(e.icmp.at, evidence.Upstream, evidence.ICMP{Type: e.icmp.Type, Code: e.icmp.Code, IPv6: e.icmp.IPv6,
			From: e.icmp.Offender, Errno: evidence.Errno(e.icmp.Errno), Own: e.icmp.own})
	}
	for i := range e.snaps {
		s := &e.snaps[i]
		add(e.end, name(i), e.transfer(&e.transfers[i]))
		if s.at != 0 {
			add(s.at, name(i), snapshotOf(s))
		}
	}
	slices.SortStableFunc(ev.Observations, func(a, b evidence.Observation) int { return cmp.Compare(a.At, b.At) })
	return ev
}

// told is what a socket told. Most is told without an error, and so is there already.
func told(call evidence.Call, saw evidence.Saw, errno evidence.Errno) evidence.What {
	if errno == 0 && int(call) < len(ordinary) && int(saw) < len(ordinary[call]) {
		return ordinary[call][saw]
	}
	return evidence.Socket{Call: call, Saw: saw, Errno: errno}
}

// ordinary is what sockets tell without an error.
var ordinary = func() (all [evidence.Poll + 1][evidence.Error + 1]evidence.What) {
	for call := range all {
		for saw := range all[call] {
			all[call][saw] = evidence.Socket{Call: evidence.Call(call), Saw: evidence.Saw(saw)}
		}
	}
	return all
}()

func (e *Ended) transfer(t *transfer) evidence.Transfer {
	since := func(at int64) time.Duration {
		if at == 0 {
			return 0
		}
		return time.Duration(at - e.accepted)
	}
	return evidence.Transfer{In: t.in, Out: t.out, LastIn: since(t.lastIn), LastOut: since(t.lastOut)}
}

func snapshotOf(s *snapshot) evidence.Snapshot {
	i := &s.info
	us := func(n uint32) time.Duration { return time.Duration(n) * time.Microsecond }
	ms := func(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }
	return evidence.Snapshot{
		State: i.State, Retransmits: i.Retransmits, Probes: i.Probes, Backoff: i.Backoff,
		RTO: us(i.RTO), RTT: us(i.RTT), RTTVar: us(i.RTTVar), MinRTT: us(i.MinRTT),
		LastDataSent: ms(i.LastDataSent), LastDataRecv: ms(i.LastDataRecv), LastAckRecv: ms(i.LastAckRecv),
		Unacked: i.Unacked, Lost: i.Lost, TotalRetrans: i.TotalRetrans,
		SndMSS: i.SndMSS, SndWnd: i.SndWnd, NotSent: i.NotSent,
		BytesAcked: i.BytesAcked, BytesReceived: i.BytesReceived, BytesSent: i.BytesSent, BytesRetrans: i.BytesRetrans,
		SegsIn: i.SegsIn, SegsOut: i.SegsOut,
		Unread: uint32(s.unread), Outstanding: uint32(s.unacked),
	}
}
