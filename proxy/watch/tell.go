package watch

import (
	"cmp"
	"math"
	"time"

	"whyreset/diagnose/evidence"
)

// slack is by how much the times of packets and of sockets may be out, when an order of the two matters: the wall clock, which
// frames bear, is slewed by half a millisecond a second at most, between two looks into the ring.
const slack = 20 * time.Microsecond

// Of gives the packets and errors of both legs, the accounts of all their packets, and what their far ends' addresses had shown before.
func (w *Packets) Of(c *Connection) (seen []evidence.Observation, coverage string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drain()
	accepted, gone := c.Accepted.Sub(w.start), c.Ended.Sub(w.start)
	coverage = w.coverage(c)
	for _, leg := range [2]evidence.Leg{evidence.Downstream, evidence.Upstream} {
		ends := c.leg(leg)
		if !ends.Own.IsValid() || !ends.Far.IsValid() {
			continue // there was none
		}
		// The client's SYN came before we accepted it, and the upstream's was sent after that.
		k, from, by := keyOf(ends.Own, ends.Far), time.Duration(math.MinInt64), accepted+slack
		if leg == evidence.Upstream {
			from, by = accepted-slack, gone+slack
		}
		f := w.table.find(k, from, by)
		if f == nil && leg == evidence.Downstream && c.Meant.IsValid() {
			f = w.table.find(keyOf(c.Meant, ends.Far), from, by)
		}
		if last := w.table.flows[k]; f == nil && last != nil && last.missed && last.first <= gone+slack {
			f = last
		}
		switch {
		case f == nil && coverage == evidence.Watched && w.table.crowded > accepted:
			coverage = crowded
		case f == nil && coverage == evidence.Watched:
			coverage = evidence.NonePassed(leg)
		case f == nil:
		default:
			if f.missed && coverage == evidence.Watched {
				coverage = beganWithin
			}
			seen = f.tell(seen, leg, accepted)
		}
	}
	return seen, coverage
}

const (
	beganWithin = "the watch began within the connection"
	crowded     = "there were more connections than are remembered"
	ringFull    = "packets were lost: the ring was full"
	sampled     = "there were so many packets that only some were looked at"
)

// looksBack is how long before the end of a connection rules look for what led to it. What was lost earlier is not missed.
const looksBack = 2 * time.Minute

// coverage is what can be said of all connections of that time.
func (w *Packets) coverage(c *Connection) string {
	accepted, end := c.Accepted.Sub(w.start), c.Ended.Sub(w.start)
	if !c.FirstEnd.IsZero() {
		end = c.FirstEnd.Sub(w.start)
	}
	from := max(accepted, end-looksBack) - gather
	switch {
	case w.over != "":
		return w.over
	case accepted < 0:
		return beganWithin
	case w.lost > 0 && w.lostAt >= from:
		return ringFull
	case w.concern.sample || w.pace.sampled > 0 && w.pace.sampled >= from:
		return sampled
	}
	return evidence.Watched
}

// tell appends what is known of the flow, which was this leg of a connection accepted at that time.
func (f *flow) tell(to []evidence.Observation, leg evidence.Leg, accepted time.Duration) []evidence.Observation {
	since := func(at time.Duration) time.Duration { return max(0, at-accepted) }
	if o, ok := f.base.evidence(leg, accepted); ok {
		to = append(to, o)
	}
	notes := f.opening[:f.opened:f.opened]
	if f.reset != nil {
		notes = append(notes, f.reset.notes...)
	}
	notes = append(notes, f.lastNotes()...)
	var told [2]uint32
	streams := true
	for i := range notes {
		n := &notes[i]
		by := int(n.From)
		p := n.Packet
		p.Sampled = p.Sampled || n.number != told[by]+1
		told[by] = n.number
		f.account.Settle(by, &p)
		p.From, p.To = between(leg, by)
		if streams && p.Flags&evidence.RST != 0 {
			streams = false
			to = f.tellStreams(to, &f.reset.before, leg, n.at, since)
		}
		to = append(to, evidence.Observation{At: since(n.at), Leg: leg, What: p})
	}
	for _, e := range f.icmp {
		e.About, _ = between(leg, e.about)
		to = append(to, evidence.Observation{At: since(e.at), Leg: leg, What: e.ICMP})
	}
	return f.tellStreams(to, &f.account.Streams, leg, f.last, since)
}

// between are who sent the packets of a direction, and to whom.
func between(leg evidence.Leg, by int) (from, to evidence.Leg) {
	if by == fromUs {
		return evidence.NoLeg, leg
	}
	return leg, evidence.NoLeg
}

func (f *flow) tellStreams(to []evidence.Observation, streams *[2]evidence.Stream, leg evidence.Leg, at time.Duration, since func(time.Duration) time.Duration) []evidence.Observation {
	for by := range streams {
		s := evidence.Told(streams, by)
		if s.Packets == 0 {
			continue
		}
		s.From, s.To = between(leg, by)
		s.FirstAt, s.LastAt, s.LastDataAt, s.FINAt = since(s.FirstAt), since(s.LastAt), since(s.LastDataAt), since(s.FINAt)
		to = append(to, evidence.Observation{At: since(at), Leg: leg, What: s})
	}
	return to
}

// Lost is how many packets found no room in the ring.
func (w *Packets) Lost() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

// byAt is the order of observations; packets found in the same nanosecond keep theirs.
func byAt(a, b evidence.Observation) int { return cmp.Compare(a.At, b.At) }
