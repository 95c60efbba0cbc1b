package cause

import (
	"time"

	"whyreset/diagnose/evidence"
)

var _ = register(Cause{
	ID:     "stale_connection",
	Origin: Host,
	Title:  "the peer's host does not know this connection any more",
	Text: "Our packet reached a host that has no such connection and therefore answered with a reset, as RFC 9293 asks. " +
		"It was restarted, another host took over its address, a NAT or load balancer on the way forgot the entry and now sends elsewhere, " +
		"or the peer itself gave up earlier while nothing of it reached us.",
	Advice: []string{
		"Compare the silence before the reset with the idle timeouts of NAT boxes and load balancers on the way; keep pooled connections shorter than the shortest",
		"Enable TCP keepalive below that timeout, on either end",
		"Look whether the peer's host was restarted or failed over at that time: last reboot, the orchestrator's events",
		"Let the client retry on a fresh connection when a reused one is reset before any answer",
	},
	Alike: []Alike{
		{"firewall_reject", "A rule answers with the same packet; only where it was made differs"},
		{"app_abort", "There the host knows the connection, and its application ends it; what we sent before is acknowledged"},
		{"write_after_close", "There a FIN came first"},
	},
	IETF: 2, HAProxy: "SD", Envoy: "RemoteReset",
	Rule: func(c *Case) Finding {
		if c.cleared(evidence.ReasonNoSocket, evidence.ReasonFlags) {
			return Finding{}
		}
		if c.wire.form() != noReset {
			return staleOnWire(c)
		}
		if s := c.kernelSays(evidence.ReasonNoSocket, evidence.ReasonFlags); s != Silent && c.established() && c.FIN[c.Leg] == nil {
			return Finding{
				Strength: s,
				Sentence: say("%s no longer knows this connection: it answered a packet of ours with a reset", c.who()),
				For:      []Cite{c.citeReset(), c.citeKernel()},
			}
		}
		if !c.answersUs() || c.nearerThanPeer() {
			return Finding{}
		}
		quiet := c.quietBefore()
		if quiet < staleAfter {
			return Finding{} // a peer that was there a moment ago: its application is the likelier one
		}
		f := Finding{
			Strength: Possible,
			Sentence: say("%s no longer knows this connection: after %s of silence it answered our next bytes with a reset", c.who(), ms(quiet)),
			For: []Cite{
				saw("the peer had been silent for %s when we sent", ms(quiet)),
				c.citeUnacked(),
				saw("the reset came %s after them, as an answer would (round trip %s), with no FIN before", ms(c.sinceOut()), ms(c.rtt())),
			},
			Against: []Cite{saw("a firewall rule gives the same answer")},
			Settle:  []string{"the reset's own header (evidence.packets)", "the peer's uptime and the tables of NAT boxes between"},
		}
		if quiet >= longSilence {
			f.Strength = Likely
		}
		return f
	},
})

const (
	// staleAfter is the least silence after which a lost state is thought of before an application that
	// cuts at once.
	staleAfter = time.Second
	// longSilence is the shortest idle timeout of a load balancer or NAT box known (facts on timers: 60 s
	// is common, 20 s the shortest settable ones in use).
	longSilence = 20 * time.Second
)

// staleOnWire reads the reset's own packet: the form in which a host answers for a connection that it does not have.
func staleOnWire(c *Case) Finding {
	if !c.unknownToHost() || c.wire.openingAnswered() || c.wire.heldBack() && c.kernel == nil {
		return Finding{}
	}
	quiet := c.quietBefore()
	f := Finding{
		Strength: Likely,
		Sentence: say("%s no longer knows this connection: it answered the next packet with a reset", c.who()),
		For:      []Cite{c.citePacket(), packets("no FIN came before, and the reset is the answer of a host without such a connection")},
		Settle:   []string{"the peer's uptime and the tables of NAT boxes between", "the kernel's reset reason on the peer's host"},
	}
	if quiet >= staleAfter {
		f.Sentence = say("%s no longer knows this connection: after %s of silence it answered the next packet with a reset", c.who(), ms(quiet))
		f.For = append(f.For, packets("it had been silent for %s", ms(quiet)))
	}
	for _, text := range c.maker.against {
		f.For = append(f.For, packets("%s", text))
	}
	if s := c.kernelSays(evidence.ReasonNoSocket, evidence.ReasonFlags); s != Silent && !c.wire.resetBefore() {
		f.Strength, f.For, f.Settle = s, append(f.For, c.citeKernel()), nil
		return f
	}
	if c.maker.box >= Likely {
		if c.wire.livesOn() != nil {
			return Finding{}
		}
		f.Strength = Possible
		for _, text := range c.maker.boxMarks {
			f.Against = append(f.Against, packets("%s", text))
		}
		return f
	}
	switch {
	case c.onWire() && c.wire.ended() > 0:
		f.Strength = Possible
		f.For = f.For[:1]
		f.Against = []Cite{packets("more of it was acknowledged than was captured, which may be a FIN")}
		return f
	case c.wire.resetPacket().Window != 0:
		f.Strength = Possible
		f.For = f.For[:1]
		f.Against = []Cite{packets("it announces a window, which a host without the connection does not know")}
		return f
	case c.onWire() && c.wire.lastOf(c.Leg) == nil && len(c.maker.against) == 0:
		f.Strength = Possible
		f.For = f.For[:1]
		f.Against = []Cite{packets("nothing that it sent before was captured, no FIN either, nor anything that would show whether the reset was made elsewhere")}
		return f
	}
	if c.wire.answers().newest < 0 {
		f.Strength = Possible
		f.Against = []Cite{packets("what it answers was not seen")}
	}
	if c.maker.stack == otherStack && quiet < staleAfter {
		f.Strength = Possible
		f.Against = []Cite{packets("its stack is not Linux's: it may abort a live connection so, too")}
	}
	if c.maker.box > Silent {
		f.Against = []Cite{packets("a firewall rule on the peer's host gives the same answer")}
	}
	return f
}

// ended is by how much what a reset answers acknowledges more than its sender is known to have sent: that end may have ended its
// direction unseen.
func (w *wire) ended() int32 {
	r := w.resetPacket()
	from := w.upTo(r.From, w.rst)
	if !from.known {
		return 0
	}
	return max(0, int32(r.Seq-from.next))
}

// unknownToHost says that the reset has the form of a host's answer for a connection that it does not have, and that no FIN explains it.
func (c *Case) unknownToHost() bool {
	if !c.reset() || c.wire.form() != reply || c.maker.forged >= Likely || c.maker.unprompted {
		return false
	}
	_, fin := c.finAt()
	return !fin
}
