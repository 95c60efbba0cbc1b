package watch

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"whyreset/diagnose/evidence"
)

const (
	ownNetns   = 100
	otherNetns = 200
)

func TestMatch(t *testing.T) {
	ap := netip.MustParseAddrPort
	client, listener, own, server := ap("10.0.0.9:40000"), ap("10.0.0.1:15432"), ap("10.0.0.1:50000"), ap("10.0.0.5:5432")
	forward := Connection{Down: Leg{Own: listener, Far: client}, Up: Leg{Own: own, Far: server}}
	redirect := Connection{Down: Leg{Own: listener, Far: client}, Up: Leg{Own: own, Far: server}, Meant: server}
	// Both legs bear the same four-tuple.
	transparent := Connection{Down: Leg{Own: server, Far: client}, Up: Leg{Own: client, Far: server}}
	local := Connection{Down: Leg{Own: ap("127.0.0.1:15432"), Far: ap("127.0.0.1:40000")}, Up: Leg{Own: ap("127.0.0.1:50000"), Far: ap("127.0.0.1:5432")}}
	const sent, accepted = true, false
	for _, test := range []struct {
		name     string
		c        Connection
		sent     bool
		netns    uint32
		from, to netip.AddrPort
		want     evidence.Leg // from it, or to it where ours
		ours     bool
		fit      fit
	}{
		{"server's", forward, sent, otherNetns, server, own, evidence.Upstream, false, fits},
		{"server's, on our own host", forward, sent, ownNetns, server, own, evidence.Upstream, false, fits},
		{"server's, taken by us", forward, accepted, ownNetns, server, own, evidence.Upstream, false, fits},
		{"ours to the server", forward, sent, ownNetns, own, server, evidence.Upstream, true, fits},
		{"ours, taken by the server", forward, accepted, otherNetns, own, server, evidence.Upstream, true, fits},
		{"client's", forward, sent, otherNetns, client, listener, evidence.Downstream, false, fits},
		{"client's, taken by us", forward, accepted, ownNetns, client, listener, evidence.Downstream, false, fits},
		{"ours to the client", forward, sent, ownNetns, listener, client, evidence.Downstream, true, fits},
		{"ours, where namespaces are not told", forward, sent, 0, listener, client, evidence.Downstream, true, fits},
		{"server's, where namespaces are not told", forward, sent, 0, server, own, evidence.Upstream, false, fits},
		{"our addresses in another namespace", forward, sent, otherNetns, own, server, 0, false, fitNot},
		{"of others", forward, sent, ownNetns, ap("10.0.0.5:5433"), own, 0, false, fitNot},

		{"client's, who knows nothing of us", redirect, sent, otherNetns, client, server, evidence.Downstream, false, fits},
		{"ours, taken by such a client", redirect, accepted, otherNetns, server, client, evidence.Downstream, true, fits},
		{"client's to the server itself", forward, sent, otherNetns, client, server, 0, false, fitNot},

		{"client's in transparent mode", transparent, sent, otherNetns, client, server, evidence.Downstream, false, fits},
		{"ours as the client", transparent, sent, ownNetns, client, server, evidence.Upstream, true, fits},
		{"server's in transparent mode", transparent, sent, otherNetns, server, client, evidence.Upstream, false, fits},
		{"ours as the server", transparent, sent, ownNetns, server, client, evidence.Downstream, true, fits},
		{"taken by us as the server", transparent, accepted, ownNetns, client, server, evidence.Downstream, false, fits},
		{"taken by us as the client", transparent, accepted, ownNetns, server, client, evidence.Upstream, false, fits},
		{"taken by the server", transparent, accepted, otherNetns, client, server, evidence.Upstream, true, fits},
		{"taken by the client", transparent, accepted, otherNetns, server, client, evidence.Downstream, true, fits},
		{"of one leg or the other", transparent, sent, 0, client, server, 0, false, fitUnclear},

		{"server's on loopback", local, sent, ownNetns, ap("127.0.0.1:5432"), ap("127.0.0.1:50000"), evidence.Upstream, false, fits},
		{"on another's loopback", local, sent, otherNetns, ap("127.0.0.1:5432"), ap("127.0.0.1:50000"), 0, false, fitNot},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := event{sent: test.sent, netns: test.netns, from: endOf(test.from), to: endOf(test.to)}
			wantFrom, wantTo := test.want, evidence.NoLeg
			if test.ours {
				wantFrom, wantTo = wantTo, wantFrom
			}
			ends := endsOf(&test.c)
			from, to, got := ends.match(&e, ownNetns)
			if from != wantFrom || to != wantTo || got != test.fit {
				t.Errorf("got from %v to %v (%d), want from %v to %v (%d)", from, to, got, wantFrom, wantTo, test.fit)
			}
		})
	}
}

// scripted is a source that hands over what it is given.
type scripted struct {
	events []event
	lost   uint64
	err    error
}

func (s *scripted) drain(hear func(event)) (lost uint64, err error) {
	for _, e := range s.events {
		hear(e)
	}
	lost, s.events, s.lost = s.lost, nil, 0
	return lost, s.err
}
func (s *scripted) whole() bool { return true }
func (s *scripted) close()      {}

// The same addresses are used by one connection after the other: each is told of its own resets.
func TestWitnessAddressesUsedAgain(t *testing.T) {
	var kernel scripted
	zero := time.Now().Add(-time.Hour)
	w := newWitness("scripted", ownNetns, zero, &kernel)
	defer w.Close()
	leg := Leg{Own: netip.MustParseAddrPort("10.0.0.1:80"), Far: netip.MustParseAddrPort("10.0.0.2:40000")}
	at := func(d time.Duration) time.Time { return zero.Add(30*time.Minute + d) }
	reset := func(d time.Duration, reason string) event {
		return event{at: at(d).Sub(zero), sent: true, netns: otherNetns, from: endOf(leg.Far), to: endOf(leg.Own), reason: reason}
	}
	const ms = time.Millisecond
	w.mu.Lock()
	kernel.events = []event{reset(100*ms, "FIRST"), reset(140*ms, "SECOND"), reset(5000*ms, "STRANGER")}
	w.mu.Unlock()
	first := Connection{Accepted: at(0), Ended: at(101 * ms), Down: leg}
	second := Connection{Accepted: at(141 * ms), Ended: at(142 * ms), Down: leg} // cut while it waited to be accepted
	third := Connection{Accepted: at(160 * ms), FirstEnd: at(900 * ms), Ended: at(901 * ms), Down: leg}
	dialled := Connection{Accepted: at(161 * ms), Ended: at(162 * ms), Up: leg}
	for _, test := range []struct {
		name string
		c    Connection
		want []string
	}{
		{"first", first, []string{"SECOND", "FIRST"}}, // the second might be late news of it
		{"second", second, []string{"SECOND"}},
		{"first again", first, []string{"FIRST"}},
		{"third, which lived on", third, nil},
		{"dialled later", dialled, nil},
	} {
		var got []string
		seen, coverage := w.Of(&test.c)
		for _, o := range seen {
			got = append(got, o.What.(evidence.Kernel).Reason)
		}
		if !slices.Equal(got, test.want) || coverage != evidence.Watched {
			t.Errorf("%s: got %q (%s), want %q", test.name, got, coverage, test.want)
		}
	}
}

// Beyond a NAT a reset is known by its sequence number and the one end that is left; by less it is nobody's.
func TestWitnessKnowsBySequence(t *testing.T) {
	ap := netip.MustParseAddrPort
	own, service, pod := ap("10.0.0.1:50000"), ap("10.96.0.5:5432"), ap("10.244.0.7:5432")
	listener, client, inside, meant := ap("10.0.0.1:15001"), ap("10.0.0.9:1024"), ap("10.0.0.9:40000"), ap("10.1.0.1:80")
	const at, sequence = 30 * time.Minute, 4711
	up := Connection{Up: Leg{Own: own, Far: service}}
	down := Connection{Down: Leg{Own: listener, Far: client}, Meant: meant}
	for _, test := range []struct {
		name     string
		c        Connection
		from, to netip.AddrPort
		sequence uint32
		at       time.Duration
		want     bool
	}{
		{"destination rewritten", up, pod, own, sequence, at - time.Millisecond, true},
		{"source rewritten", up, service, ap("10.9.9.9:1024"), sequence, at - time.Millisecond, true},
		{"told after it was accepted", up, pod, own, sequence, at + time.Millisecond, true},
		{"another sequence number", up, pod, own, sequence + 1, at - time.Millisecond, false},
		{"no end of ours", up, pod, ap("10.0.0.1:50001"), sequence, at - time.Millisecond, false},
		{"too long ago", up, pod, own, sequence, at - 2*time.Second, false},
		{"too late", up, pod, own, sequence, at + time.Second, false},
		{"a client whose port was rewritten, too", down, inside, meant, sequence, at - time.Millisecond, true},
		{"a client of somebody else", down, inside, ap("10.1.0.1:81"), sequence, at - time.Millisecond, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			zero := time.Now().Add(-time.Hour)
			from, to, leg := service, own, evidence.Upstream
			if test.c.Down.Own.IsValid() {
				from, to, leg = client, listener, evidence.Downstream
			}
			kernel := &scripted{events: []event{
				{at: test.at, sent: true, netns: otherNetns, from: endOf(test.from), to: endOf(test.to), sequence: test.sequence, reason: "R"},
				{at: at, netns: ownNetns, from: endOf(from), to: endOf(to), sequence: sequence},
			}}
			w := newWitness("scripted", ownNetns, zero, kernel)
			defer w.Close()
			test.c.Accepted, test.c.Ended = zero.Add(at-time.Minute), zero.Add(at)
			seen, _ := w.Of(&test.c)
			want := []evidence.Kernel{{From: leg}}
			if test.want {
				want = append(want, evidence.Kernel{Sent: true, From: leg, Reason: "R", Foreign: true})
			}
			var got []evidence.Kernel
			for _, o := range seen {
				got = append(got, o.What.(evidence.Kernel))
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// A source that breaks tells no more: what it had told stays known, and the coverage is not what it was.
func TestWitnessBreaks(t *testing.T) {
	zero := time.Now().Add(-time.Hour)
	own, server := netip.MustParseAddrPort("10.0.0.1:50000"), netip.MustParseAddrPort("10.0.0.5:5432")
	kernel := &scripted{err: errors.New("gone"), events: []event{
		{at: 30 * time.Minute, sent: true, netns: otherNetns, from: endOf(server), to: endOf(own), reason: "R"}}}
	w := newWitness("scripted", ownNetns, zero, kernel)
	defer w.Close()
	c := &Connection{Accepted: zero.Add(29 * time.Minute), Ended: zero.Add(30 * time.Minute), Up: Leg{Own: own, Far: server}}
	for range 2 {
		seen, coverage := w.Of(c)
		if coverage != "failed: gone" || len(seen) != 1 {
			t.Errorf("got %+v and coverage %q, want the one reset and that it failed", seen, coverage)
		}
	}
}
