package cause

import (
	"time"

	"whyreset/diagnose/evidence"
)

var _ = register(Cause{
	ID:     "abort_at_accept",
	Origin: Application,
	Title:  "accepted and cut, nothing exchanged",
	Text: "The handshake was completed and the connection ended before a byte went either way. The server cuts new connections on purpose " +
		"(an access list, a limit of connections, a process that is shutting down), or its listening socket was closed, or its process died, " +
		"while the connection waited in the accept queue.",
	Advice: []string{
		"Read the server's log at that time: access lists, connection limits, start and stop",
		"Look whether the service was restarted: a closed listener resets all that wait in its queue",
	},
	Alike: []Alike{
		{"port_closed", "There the handshake is not completed"},
		{"accept_queue_overflow", "There the kernel resets because the queue is full; its reset bears no ACK, which packets show"},
		{"probe", "There the client leaves, not the server"},
	},
	IETF: 4, HAProxy: "SD", Envoy: "RemoteReset",
	Beats: []string{"app_abort", "idle_close", "clean_close"},
	Rule: func(c *Case) Finding {
		if c.Leg != evidence.Upstream || !c.Connected || c.in() > 0 || c.taken() > 0 || c.anyFIN() && !c.isFIN() {
			return Finding{}
		}
		after := c.End.At - c.ConnectedAt
		if c.wire.form() != noReset {
			return cutOnWire(c, after)
		}
		switch {
		case c.reset():
			f := Finding{
				Strength: Likely,
				Sentence: say("upstream %s accepted the connection and reset it %s later, before anything was exchanged", c.Server, ms(after)),
				For:      []Cite{saw("the handshake was complete, no byte had gone either way, then %s", c.errno())},
			}
			if !c.near() {
				f.Settle = []string{"the reset's own header (evidence.packets)"}
			}
			return f
		case c.isFIN() && after <= atOnce && (!c.onWire() || c.wire.watched) && c.FIN[evidence.Downstream] == nil && c.Down.In == 0:
			return Finding{
				Strength: Likely,
				Sentence: say("upstream %s accepted the connection and closed it %s later, before anything was exchanged", c.Server, ms(after)),
				For:      []Cite{c.saw("the handshake was complete, no byte had gone either way, then a FIN")},
			}
		}
		return Finding{}
	},
})

// atOnce is the time within which a close of an unused connection is a refusal rather than a timeout.
const atOnce = time.Second

// taken is how much the server had been given: by its own reset's word, if that is there to read, else all that was sent.
func (c *Case) taken() uint64 {
	r := c.wire.resetPacket()
	if r == nil || c.wire.form() != active {
		return c.out()
	}
	for i := range c.wire.packets[:c.wire.rst] {
		p := &c.wire.packets[i]
		first := p.From == r.To && r.Ack == p.Seq+1 || p.From == r.From && r.Ack == p.Ack
		if p.has(evidence.SYN) && p.ordinary() && first {
			return 0 // what was on its way had not arrived
		}
	}
	return c.out()
}

// cutOnWire reads the reset's own packet. Nothing can have been unread, so it is an abort.
func cutOnWire(c *Case, after time.Duration) Finding {
	if !c.reset() || c.wire.form() != active || c.wire.upTo(c.Leg, c.wire.rst).bytes > 0 || c.onWire() && !c.wire.begins() || c.wire.moved() || !c.maker.own() || c.cleared(evidence.ReasonState, evidence.ReasonAbortOnClose) {
		return Finding{}
	}
	f := Finding{
		Strength: Possible,
		Sentence: say("upstream %s accepted the connection and reset it %s later, before anything was exchanged", c.Server, ms(after)),
		For:      []Cite{c.citePacket(), packets("the handshake was complete, and it had taken no byte: a live socket was reset")},
	}
	switch s := c.kernelSays(evidence.ReasonState, evidence.ReasonAbortOnClose); {
	case c.destroyed():
		return Finding{}
	case s != Silent:
		f.Strength, f.For = s, append(f.For, c.citeKernel())
	case after > acceptTime+2*c.rtt() && c.maker.stack != linuxStack && c.wire.resetPacket().Window == 0:
		// Of stacks that put no window in an abort it is not known that nothing else sends the same.
		f.Against = []Cite{packets("it took %s over it: an application may have had the connection, and aborted it", ms(after))}
	case c.captured && c.maker.stack != otherStack && c.wire.resetPacket().Window > 0 && after <= acceptTime+2*c.rtt() && c.wire.watched && c.wire.final[evidence.Upstream] != nil && c.wire.ttlStep() == 0:
		f.Strength = Conclusive
	default:
		f.Strength = Likely
	}
	return f
}

// moved says that by the numbers of a live socket's reset something had gone one way or the other, told or not: they are not those
// that the handshake began with.
func (w *wire) moved() bool {
	r := w.resetPacket()
	for i := range w.packets[:w.rst] {
		switch p := &w.packets[i]; {
		case !p.ordinary():
		case p.From == r.To && p.has(evidence.SYN) && r.Ack != p.Seq+1,
			p.From == r.To && p.has(evidence.ACK) && r.Seq != p.Ack,
			p.From == r.From && p.has(evidence.SYN) && (r.Seq != p.Seq+1 || p.has(evidence.ACK) && r.Ack != p.Ack):
			return true
		}
	}
	return false
}

// acceptTime is the longest that a server which refuses on accepting waits before it cuts.
const acceptTime = 100 * time.Millisecond
