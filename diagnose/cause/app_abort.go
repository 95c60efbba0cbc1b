package cause

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
