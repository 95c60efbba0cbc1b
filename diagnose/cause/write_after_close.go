package cause

import (
	"time"

	"whyreset/diagnose/evidence"
)

var _ = register(Cause{
	ID:     "write_after_close",
	Origin: Application,
	Title:  "the peer had closed, and more bytes were sent to it",
	Text: "The peer ended the connection with a FIN. What was sent to it afterwards, or was on its way already, met a closed socket, " +
		"and its kernel answered with a reset. The usual story is the keep-alive race: a server closes an idle connection in the very moment in which the client uses it again. " +
		"The other is a client that takes the FIN for a half-close and goes on sending.",
	Advice: []string{
		"Let the side that reuses connections give up first: set the client's idle timeout shorter than the server's keep-alive timeout",
		"Let the client retry once on a fresh connection when a reused one ends before any answer",
		"If the client sends on after the server's FIN on purpose, the server must not close but shut down its own direction only",
	},
	Alike: []Alike{
		{"app_close_unread", "There the peer closes with bytes unread that had reached it before"},
		{"stale_connection", "There no FIN came"},
	},
	IETF: 3, HAProxy: "SD, CD", Envoy: "RemoteReset",
	Rule: func(c *Case) Finding {
		if c.cleared(evidence.ReasonAbortOnData, evidence.ReasonTimeWait, evidence.ReasonNoSocket, evidence.ReasonFlags) {
			return Finding{}
		}
		if c.wire.form() != noReset {
			return lateBytesOnWire(c)
		}
		fin, seen := c.finAt()
		if !seen || !c.reset() || c.out() == 0 || c.unacked() <= 0 {
			return Finding{}
		}
		last := c.transfer(c.Leg).LastOut
		f := Finding{
			Strength: Likely,
			Sentence: say("%s had closed the connection, and bytes sent to it %s after its FIN were answered with a reset", c.who(), ms(last-fin)),
			For: []Cite{
				saw("a FIN at %s, then a reset at %s (%s: the kernel's word for that order)", ms(fin), ms(c.End.At), c.errno()),
				c.citeUnacked(),
			},
			Settle: []string{"the reset's own header (evidence.packets)"},
		}
		first := c.firstOutAfter(fin)
		switch {
		case last > fin && c.End.At-first <= c.answerTime():
			f.For = append(f.For, saw("the reset came %s after the first bytes behind the FIN, as an answer would", ms(c.End.At-first)))
		case last > fin:
			f.Strength = Possible
			f.Against = []Cite{saw("it had taken bytes behind its FIN for %s before", ms(c.End.At-first))}
		case fin-last > c.answerTime() || c.windowShut():
			return Finding{}
		default:
			f.Sentence = say("%s closed the connection while our last bytes were on their way, and answered them with a reset", c.who())
			if c.quietBefore() < staleAfter {
				f.Strength = Possible
				f.Against = []Cite{saw("it may as well have closed with bytes unread that had reached it before")}
			}
		}
		return f
	},
})

// lateBytesOnWire reads the reset's own packet: the answer to bytes that a closed socket got.
func lateBytesOnWire(c *Case) Finding {
	fin, seen := c.finAt()
	w := c.wire
	if !seen && c.unknownToHost() && w.form() == reply && w.heldBack() {
		return Finding{
			Strength: Likely,
			Sentence: say("%s had closed the connection with bytes still to be sent, and answered what came in with a reset", c.who()),
			For: []Cite{c.citePacket(),
				packets("it had sent all that it was given room for: a FIN waits behind what is left, and a closed socket takes no bytes meanwhile")},
			Against: []Cite{packets("a host that does not know the connection answers so, too")},
		}
	}
	if !seen && c.onWire() && c.unknownToHost() && w.ended() == 1 {
		return Finding{
			Strength: Likely,
			Sentence: say("%s had closed the connection, and what was sent to it was answered with a reset", c.who()),
			For:      []Cite{c.citePacket(), packets("one more than its bytes had been acknowledged: that is its FIN, which was not captured")},
			Against:  []Cite{packets("it may have been a byte")},
		}
	}
	if !seen || !c.reset() || c.maker.forged >= Likely {
		return Finding{}
	}
	r := w.resetPacket()
	if w.form() != reply {
		return lateBytesElsewhere(c, fin)
	}
	a := w.answers()
	f := Finding{
		Strength: Likely,
		Sentence: say("%s had closed the connection, and bytes sent to it were answered with a reset, %s after its FIN", c.who(), ms(r.at-fin)),
		For:      []Cite{packets("a FIN at %s, then a reset at %s", ms(fin), ms(r.at)), c.citePacket()},
	}
	kernel := c.kernelSays(evidence.ReasonAbortOnData, evidence.ReasonTimeWait, evidence.ReasonNoSocket, evidence.ReasonFlags)
	data := a.data || w.unacked() > 1 // a FIN counts as one
	switch {
	case !data && a.newest >= 0 && c.kernel == nil:
		if !c.onWire() || a.fits || !a.known {
			return Finding{}
		}
		f.Strength = Possible
		f.Against = []Cite{packets("no bytes that it answers were captured")}
	case kernel != Silent:
		f.Strength, f.For = kernel, append(f.For, c.citeKernel())
	case c.maker.unprompted:
		f.Strength = Possible
		f.Against = []Cite{packets("it comes later than an answer to them would")}
	case c.maker.box >= Likely: // a balancer in front of it may answer for what is over
		for _, text := range c.maker.boxMarks {
			f.Against = append(f.Against, packets("%s", text))
		}
	case data && w.closedFirst() && w.allResetsOf(r.From) && (a.fits || a.known && a.rtt < measurable):
		f.Strength = Conclusive
		f.For = append(f.For, packets("it answers %s that the closed socket could not take", size(uint64(max(1, w.unacked())))))
	}
	return f
}

// lateBytesElsewhere knows stacks that answer with ACK, as for an abort: their reset does not acknowledge the late bytes that came in.
// Linux would not answer so.
func lateBytesElsewhere(c *Case, fin time.Duration) Finding {
	w := c.wire
	r := w.resetPacket()
	if w.form() != active || c.maker.stack == linuxStack || r.Window != 0 || !c.maker.own() {
		return Finding{}
	}
	rtt := w.rttTo(r.From)
	for i := range w.packets[:w.rst] {
		p := &w.packets[i]
		if p.From != r.To || p.Payload == 0 || p.at < fin || after(r.Ack, p.Seq) {
			continue
		}
		if age := r.at - p.at; (age >= 4*rtt/5 || rtt < measurable) && age <= 3*rtt/2+answerSlack {
			return Finding{
				Strength: Likely,
				Sentence: say("%s had closed the connection, and bytes sent to it were answered with a reset, %s after its FIN", c.who(), ms(r.at-fin)),
				For: []Cite{packets("a FIN at %s, then a reset at %s", ms(fin), ms(r.at)), c.citePacket(),
					packets("it came %s after bytes behind the FIN, and does not acknowledge them", ms(age))},
				Against: []Cite{packets("closing with bytes unread sends the same reset on stacks other than Linux")},
			}
		}
	}
	return Finding{}
}

// closedFirst says that the late bytes were sent in full knowledge of the FIN, and that all before it had been acknowledged by it: nothing
// was left that a close could have thrown away unread, and no reset for that can have been missed.
func (w *wire) closedFirst() bool {
	r := w.resetPacket()
	var sent uint32
	known := false
	for i := range w.packets[:w.rst] {
		p := &w.packets[i]
		switch {
		case !p.ordinary():
		case p.From == r.To && (!known || after(p.End(), sent)):
			sent, known = p.End(), true
		case p.From == r.From && p.has(evidence.FINFlag):
			return known && !after(sent, p.Ack) && r.Seq == p.End()
		}
	}
	return false
}

// heldBack says that the end which reset had filled the window that it was given, with data, just before: what it still had to send, and
// any FIN behind it, could not be sent.
func (w *wire) heldBack() bool {
	r := w.resetPacket()
	last, theirs := w.lastOf(r.To), w.lastData(r.From)
	if last == nil || theirs == nil || r.at-theirs.at > time.Second || !last.has(evidence.ACK) {
		return false
	}
	window, known := last.WindowBytes()
	used := theirs.End() - last.Ack
	return known && !last.has(evidence.SYN) && int32(used) >= 0 && used+smallestMSS > window && w.upTo(r.From, w.rst).bytes > 0
}

// smallestMSS is what every host takes (RFC 9293 §3.7.1): less room than that is not used while more is to come.
const smallestMSS = 536

// lastData is the last packet with data that an end sent before its reset.
func (w *wire) lastData(end evidence.Leg) *heard {
	for i := w.rst - 1; i >= 0; i-- {
		if p := &w.packets[i]; p.From == end && p.ordinary() && p.Payload > 0 {
			return p
		}
	}
	return nil
}
