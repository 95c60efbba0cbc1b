package replay

import (
	"fmt"
	"slices"
	"time"

	"whyreset/diagnose/evidence"
)

// notIn is why sockets and kernel tell nothing.
const notIn = "not in a packet capture"

// Evidence is what the capture shows of the connection, for the engine: the packets that were kept, the accounts of all, errors, and
// what other connections showed of its ends before. The packets stand in the order of their frames.
func (c *Connection) Evidence() evidence.Evidence {
	ev := evidence.Evidence{
		Client: c.Client, Server: c.Server,
		Coverage: evidence.Coverage{Sockets: notIn, Packets: c.packetCoverage(), Witness: notIn},
	}
	n, legs := c.notes, c.legs
	for i, b := range n.base {
		if o, ok := b.evidence(legs[i], c.First); ok {
			ev.Observations = append(ev.Observations, o)
		}
	}
	told := [2]uint32{}
	icmp := c.ICMP
	for _, one := range n.all() {
		for len(icmp) > 0 && uint64(icmp[0].Frame) < one.Frame {
			ev.Observations = append(ev.Observations, c.icmpEvidence(icmp[0]))
			icmp = icmp[1:]
		}
		by := one.From
		if n.atReset != nil && len(n.around) > 0 && one.Frame == uint64(c.Reset.Frame) {
			ev.Observations = append(ev.Observations, c.streamEvidence(n.atReset, one.at)...)
		}
		one.Sampled = one.number != told[by]+1
		told[by] = one.number
		n.finish(&one, legs)
		ev.Observations = append(ev.Observations, evidence.Observation{At: one.at, What: one.Packet})
	}
	for _, e := range icmp {
		ev.Observations = append(ev.Observations, c.icmpEvidence(e))
	}
	at := n.clock
	if len(ev.Observations) > 0 {
		at = max(at, ev.Observations[len(ev.Observations)-1].At)
	}
	ev.Observations = append(ev.Observations, c.streamEvidence(&n.account.Streams, at)...)
	// An error's time is its own; the order of frames goes before.
	for i := 1; i < len(ev.Observations); i++ {
		ev.Observations[i].At = max(ev.Observations[i].At, ev.Observations[i-1].At)
	}
	return ev
}

// all are the notes in the order of their frames.
func (n *notes) all() []note {
	return n.last.appendTo(slices.Concat(n.opening, n.around))
}

// finish puts in what is known only at the end: who is who, and what the handshake settled for all packets.
func (n *notes) finish(one *note, legs [2]evidence.Leg) {
	by := one.From
	one.From, one.To = legs[by], legs[1-by]
	n.account.Settle(int(by), &one.Packet)
}

func (c *Connection) streamEvidence(streams *[2]evidence.Stream, at time.Duration) []evidence.Observation {
	var out []evidence.Observation
	for i := range streams {
		s := evidence.Told(streams, i)
		s.From, s.To = c.legs[i], c.legs[1-i]
		out = append(out, evidence.Observation{At: at, What: s})
	}
	return out
}

func (c *Connection) icmpEvidence(e ICMP) evidence.Observation {
	leg := evidence.Downstream
	if e.About == Server {
		leg = evidence.Upstream
	}
	return evidence.Observation{At: max(0, e.At.Sub(c.First)), What: evidence.ICMP{
		Type: e.Type, Code: e.Code, IPv6: e.IPv6, From: e.From,
		OnWire: true, About: leg, Seq: e.Seq, MTU: e.MTU, TTL: e.TTL, Frame: uint64(e.Frame),
	}}
}

// packetCoverage says whether what the capture does not show did not happen.
func (c *Connection) packetCoverage() string {
	if c.missed {
		return "the capture begins within the connection"
	}
	if c.OneSided() && c.acknowledges() {
		return "the capture has one direction only"
	}
	var missing uint64
	for _, o := range c.streamEvidence(&c.notes.account.Streams, 0) {
		missing += o.What.(evidence.Stream).Missing
	}
	if missing > 0 {
		return fmt.Sprintf("%d bytes of the connection are missing in the capture", missing)
	}
	return evidence.Watched
}

// acknowledges says that one end answered something: of a connection whose other end is not seen, it was there and was not captured.
func (c *Connection) acknowledges() bool {
	return c.notes.account.Streams[0].HasAck || c.notes.account.Streams[1].HasAck
}
