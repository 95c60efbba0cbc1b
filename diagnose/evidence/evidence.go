// Package evidence is the vocabulary in which a connection is described to the engine: what was
// observed, in order of time, and what was not watched.
//
//	ev := evidence.Evidence{
//		Observations: []evidence.Observation{
//			{At: 0, Leg: evidence.Downstream, What: evidence.Socket{Saw: evidence.Connected}},
//			{At: time.Millisecond, Leg: evidence.Upstream, What: evidence.Socket{Call: evidence.Connect, Saw: evidence.Error, Errno: evidence.ECONNREFUSED}},
//		},
//		Coverage: evidence.Coverage{Sockets: evidence.Watched, Packets: "not asked for", Witness: "not asked for"},
//	}
//
// It draws no conclusions: those are the causes' (package cause). It knows nothing of Linux either:
// error numbers carry Linux's values on every system, so that an old record can be read anywhere.
package evidence

import (
	"net/netip"
	"time"
)

// Leg is one of the two connections that the proxy stands between.
type Leg uint8

const (
	NoLeg      Leg = iota // concerns the whole pair
	Downstream            // client and proxy
	Upstream              // proxy and server
)

// Other is the opposite leg; NoLeg stays NoLeg.
func (l Leg) Other() Leg {
	switch l {
	case Downstream:
		return Upstream
	case Upstream:
		return Downstream
	}
	return NoLeg
}

func (l Leg) String() string {
	return [...]string{"proxy", "downstream", "upstream"}[l]
}

// Evidence is all that is known of one connection.
type Evidence struct {
	Client, Server netip.AddrPort // the far ends; invalid when never known (an upstream that was not dialled)
	OwnDown, OwnUp netip.AddrPort // our ends of the two legs; invalid likewise
	Observations   []Observation  // in order of time; equal times have no order
	Coverage       Coverage
}

// Observation is one thing seen. Two observations with equal At were found together: nothing says
// which came first, but for packets of a capture, which their frames put in order.
type Observation struct {
	At   time.Duration // since the connection was accepted
	Leg  Leg
	What What
}

// What is one of Socket, Snapshot, Transfer, Packet, Stream, Baseline, ICMP, Kernel or Action.
type What interface{ source() Source }

// Source is a way of watching. A verdict that rests on several is stronger than on one.
type Source string

const (
	Sockets Source = "sockets"
	Packets Source = "packets"
	Witness Source = "witness"
	Self    Source = "proxy" // what we did ourselves
)

// SourceOf names the way in which w was seen.
func SourceOf(w What) Source { return w.source() }

// Coverage says for each source whether it was watched: Watched, or why not. What a watched source did
// not show did not happen; what an unwatched one did not show is unknown.
type Coverage struct {
	Sockets, Packets, Witness string
}

// Watched is the word for a source that was there all the time.
const Watched = "watched"

// NonePassed is the coverage of packets that were watched all the time, while none of the leg came by: the watch has a blind spot, or
// none was ever sent.
func NonePassed(leg Leg) string { return "no packet of the " + leg.String() + " leg was seen" }

// Has says whether s was watched.
func (c Coverage) Has(s Source) bool {
	switch s {
	case Sockets:
		return c.Sockets == Watched
	case Packets:
		return c.Packets == Watched
	case Witness:
		return c.Witness == Watched
	}
	return s == Self
}
