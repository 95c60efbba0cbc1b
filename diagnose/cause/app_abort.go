package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "app_abort",
	Origin: Application,
	Title:  "the peer's application aborted a live connection",
	Text: "The peer's socket was alive and was destroyed on purpose: closed with SO_LINGER 0, disconnected with connect(AF_UNSPEC), killed by a tool (ss -K), " +
		"or by a timeout of its server that resets instead of closing (nginx reset_timedout_connection). Nothing of ours made it fail.",
	Advice: []string{
		"Read the peer's own log at that moment: limits, timeouts, shutdown, errors",
		"Search its code and configuration for SO_LINGER, 'reset', 'abort' and for timeouts that match the time since the last byte",
		"On its host, trace who does it: bpftrace or perf on tcp:tcp_send_reset",
	},
	Alike: []Alike{
		{"app_close_unread", "Closing with our bytes unread sends the same packet; only a jump of the window in it, or a shut window before, tells them apart"},
		{"stale_connection", "There the host does not know the connection, and our last bytes are never acknowledged"},
		{"injected_reset", "A forged reset can look so to a socket; its header betrays it"},
	},
	IETF: 4, HAProxy: "SD, CD", Envoy: "RemoteReset",
	Rule: func(c *Case) Finding {
		if c.cleared(evidence.ReasonState, evidence.ReasonAbortOnLinger, evidence.ReasonAbortOnData) {
			return Finding{}
		}
		if f := abortOnWire(c); f.Strength != Silent {
			return f
		}
		if !c.abortLike() {
			return Finding{}
		}
		f := Finding{
			Strength: Possible,
			Sentence: say("%s aborted the connection %s the last byte", c.who(), c.after()),
			For:      []Cite{c.citeReset()},
		}
		if c.unacked() == 0 {
			f.For = append(f.For, saw("its kernel had acknowledged all we sent: the host knew the connection"))
		}
		if !c.near() {
			f.Settle = []string{"the reset's own header (evidence.packets)"}
		}
		if c.FIN[c.Leg] != nil {
			f.Against = []Cite{saw("it had ended its own direction first, as one does who closes in order")}
			return f
		}
		f.Settle = append(f.Settle, "the window in the reset (evidence.packets)", "the kernel's reset reason on the peer's host")
		if c.weSpokeLast() || c.Idle <= RespondingFor || c.unacked() > 0 {
			f.Against = []Cite{saw("closing with bytes of ours unread sends the same reset")}
			return f
		}
		f.Strength = Likely
		f.For = append(f.For, saw("it had answered our last bytes %s before: hardly anything of ours was left unread", ms(c.Idle)))
		return f
	},
})

// abortLike says that a live socket's end is one explanation of the reset. One that comes as an answer to
// our bytes after a silence, or sooner than the peer can answer, is somebody else's.
func (c *Case) abortLike() bool {
	if form := c.wire.form(); form != noReset {
		return c.reset() && form == active && c.maker.own()
	}
	if !c.reset() || c.in() == 0 && c.out() == 0 {
		return false
	}
	if c.answersUs() && (c.quietBefore() >= staleAfter || c.nearerThanPeer()) {
		return false
	}
	if at, fin := c.finAt(); fin {
		return c.unacked() == 0 && c.transfer(c.Leg).LastOut <= at
	}
	return true
}

// abortOnWire reads the reset's own packet: that of a live socket, or the answer of one that had ended its direction and did not wait
// for the other end's (TCP_LINGER2, or the limit of FIN_WAIT2).
func abortOnWire(c *Case) Finding {
	r := c.wire.resetPacket()
	if r == nil || !c.reset() {
		return Finding{}
	}
	f := Finding{
		Strength: Possible,
		Sentence: say("%s aborted the connection %s the last byte", c.who(), c.after()),
		For:      []Cite{c.citePacket()},
	}
	if s := c.kernelSays(evidence.ReasonState, evidence.ReasonAbortOnLinger); s != Silent {
		f.Strength, f.For = s, append(f.For, c.citeKernel())
		return f
	}
	fin, behindFIN := c.finAt()
	if c.wire.form() == reply && c.maker.own() && behindFIN && c.Phase != ClosingPhase && c.wire.dropped() {
		f.Strength = Likely
		f.Sentence = say("%s ended its direction and, %s later, dropped the connection without waiting for the other side", c.who(), ms(r.at-fin))
		f.For = append(f.For, packets("a FIN %s before; nothing but an acknowledgement was sent to it since", ms(r.at-fin)))
		return f
	}
	if c.wire.form() == reply && c.maker.own() && (c.maker.unprompted || c.maker.stack == otherStack) && !behindFIN {
		f.For = append(f.For, packets("its stack is not Linux's, and aborts with a bare reset"))
		if c.maker.unprompted {
			f.For[1] = packets("it is an answer in form, and no packet that it could answer came by")
		}
		f.Against = []Cite{packets("a host that does not know the connection answers so")}
		return f
	}
	if !c.abortLike() {
		return Finding{}
	}
	f.For = append(f.For, packets("it has the live socket's own numbers: its host knew the connection"))
	f.Settle = []string{"the kernel's reset reason on the peer's host"}
	switch jump := c.windowJump(); {
	case behindFIN:
		f.Against = []Cite{packets("it had ended its own direction first, as one does who closes in order")}
	case c.wire.unstamped():
		f.Against = []Cite{packets("it bears no timestamp, though all packets of the connection do")}
	case jump > 1:
		f.Against = []Cite{packets("its window was larger in the reset than before, as when unread bytes are thrown away")}
	case c.wire.readMuch(jump):
		f.Strength = Likely
		f.For = append(f.For, packets("its window was whole although %s had been sent to it since it last spoke: it had read them", size(uint64(c.wire.sinceHeard()))))
	case c.out() == 0 && (!c.onWire() || c.wire.begins()) || c.out() > 0 && c.unreadNothing():
		f.Strength = Likely
		f.For = append(f.For, packets("it had spoken last: hardly anything that was sent to it can have been left unread"))
	default:
		f.Against = []Cite{packets("closing with bytes unread sends the same reset")}
	}
	return f
}

// unreadNothing says that the ended end had answered what was sent to it last: hardly anything can have been left unread.
func (c *Case) unreadNothing() bool { return !c.weSpokeLast() }

// fromNothing stands for a jump from a shut window, which has no ratio.
const fromNothing = 100

// windowJump is how many times larger the window in the reset is than the one announced before; zero when that is not known. close()
// throws away what is unread before the reset is made, so the window is whole again (tcp_close).
func (c *Case) windowJump() float64 {
	r := c.wire.resetPacket()
	last := c.wire.lastOf(r.From)
	if last == nil || last.has(evidence.SYN) {
		return 0
	}
	// Both are of one scale, known or not.
	switch now, before := float64(r.Window), float64(last.Window); {
	case before > 0:
		return now / before
	case now > 0:
		return fromNothing
	}
	return 0
}

// dropped says that the reset answers a bare acknowledgement, and that nothing else was on its way.
func (w *wire) dropped() bool {
	a := w.answers()
	return a.newest >= 0 && (a.fits || !a.known) && !a.data && w.unacked() == 0
}

// sinceHeard is how much was sent to the end that reset, and acknowledged by it, since its own last data.
func (w *wire) sinceHeard() uint32 {
	r := w.resetPacket()
	var first uint32
	known := false
	for i := range w.packets[:w.rst] {
		p := &w.packets[i]
		switch {
		case !p.ordinary() || p.Payload == 0:
		case p.From == r.From:
			known = false
		case !known:
			first, known = p.Seq, true
		}
	}
	from := w.upTo(r.From, w.rst)
	if !known || !from.acks || !after(from.acked, first) {
		return 0
	}
	return from.acked - first
}

// readMuch says that close() would have shown in the window: as much as was sent, and acknowledged, must have shrunk it unless it was
// read. Measured on Linux 6.18: 10 kB unread make a jump of 4 kB, less is hidden by the window's growth.
func (w *wire) readMuch(jump float64) bool {
	return jump == 1 && w.stackOf(w.resetPacket().From) == linuxStack && w.sinceHeard() >= muchSent && w.unacked() == 0
}

const muchSent = 20_000
