package cause

import (
	"time"

	"whyreset/diagnose/evidence"
)

// unanswered is what the packets of a leg of ours show of a far end that does not answer: what left this host and wants an answer, and that
// none came in, which excludes a rule of this host (packets are seen behind the rules for what goes out, before those for what comes in).
type unanswered struct {
	known bool
	asked int           // packets that were sent again, or that only ask, since the far end was last heard of
	heard time.Duration // when that was; zero: never
	shut  bool          // it said then that it had no room
}

// unanswered looks at the leg that ended, up to the end.
func (c *Case) unanswered() (s unanswered) {
	w := c.wire
	if w == nil || c.onWire() || !w.watched || !c.Coverage.Has(evidence.Sockets) {
		return s
	}
	theirs, last, end := 0, time.Duration(0), uint32(0)
	for i := range w.packets {
		p := &w.packets[i]
		switch {
		case p.From == c.Leg && p.at <= c.End.At && p.ordinary() && p.Repeat && p.has(evidence.ACK) && end != 0 && after(end, p.Ack):
			theirs, last = theirs+1, p.at // it asks again itself, for it does not hear us
		case p.From == c.Leg && p.at <= c.End.At:
			last = p.at
			s.asked, s.heard, s.shut = 0, p.at, p.ordinary() && p.Window == 0
			theirs++
		case p.From == c.Leg && (p.Sampled || p.has(evidence.SYN) || p.has(evidence.ACK) && c.acknowledges(p)):
			return unanswered{} // it was not silent, but late; or not all is told
		case p.From == evidence.NoLeg && p.at <= c.End.At && (p.Repeat || p.Probe):
			s.asked++
		}
		if p.From == evidence.NoLeg && p.ordinary() && p.Payload > 0 && !p.Probe && (end == 0 || after(p.End(), end)) {
			end = p.End()
		}
	}
	all := w.final[c.Leg]
	s.known = all == nil && theirs == 0 || all != nil && (all.LastAt <= last || all.LastAt > c.End.At)
	return s
}

// acknowledges says that a packet acknowledges something that had not been acknowledged when the leg ended.
func (c *Case) acknowledges(p *heard) bool {
	before := account{}
	for i := range c.wire.packets {
		if one := &c.wire.packets[i]; one.From == p.From && one.ordinary() && one.at <= c.End.At && one.has(evidence.ACK) {
			before.acked, before.acks = one.Ack, true
		}
	}
	return p.ordinary() && (!before.acks || after(p.Ack, before.acked))
}
