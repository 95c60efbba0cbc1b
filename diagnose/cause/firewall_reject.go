package cause

import "time"

var _ = register(Cause{
	ID:     "firewall_reject",
	Origin: Path,
	Title:  "a firewall answered in the peer's place with a reset",
	Text: "A device, or a rule on the peer's host, answered a packet of ours with a TCP reset ('reject with tcp reset'). " +
		"The application behind it never saw that packet, and if the connection was established it does not know yet that it is over. " +
		"Besides rules that forbid, stateful devices do so when they have forgotten a connection that was silent for too long.",
	Advice: []string{
		"List the rules that reject, on the peer's host and on every box between: nft list ruleset, iptables-save",
		"If it happens after a silence, raise that device's idle timeout, or enable keepalive below it on the side that waits",
		"Capture on both ends: the peer has not sent the reset that arrives here",
	},
	Alike: []Alike{
		{"port_closed", "The host itself refuses, with the same packet; only where it was made differs"},
		{"stale_connection", "The host itself does not know the connection; only where the reset was made differs"},
		{"injected_reset", "A forged reset answers no packet of ours"},
	},
	IETF: 9, HAProxy: "SC, SD", Envoy: "UF, RemoteReset",
	Rule: func(c *Case) Finding {
		if c.near() || c.ICMP != nil || c.kernel != nil && !c.doubted {
			return Finding{}
		}
		if c.wire.form() != noReset {
			return rejectOnWire(c)
		}
		if c.refused() {
			return Finding{
				Strength: Possible,
				Sentence: say("a firewall refused the connection to upstream %s with a reset", c.Server),
				For:      []Cite{saw("the SYN was answered with a reset (ECONNREFUSED) after %s", ms(c.End.At))},
				Against:  []Cite{saw("a closed port gives the same answer")},
				Settle:   []string{"the reset's own header (evidence.packets)"},
			}
		}
		if !c.answersUs() {
			return Finding{}
		}
		f := Finding{
			Strength: Possible,
			Sentence: say("a firewall answered our last %s to %s with a reset", size(uint64(c.unacked())), c.who()),
			For:      []Cite{c.citeReset(), c.citeUnacked()},
			Settle:   []string{"the reset's own header (evidence.packets)", "a capture on the peer's host: did it send the reset?"},
		}
		if c.nearerThanPeer() {
			f.Strength = Likely
			f.For = append(f.For, saw("it came %s after our bytes, and the peer is %s away: something nearer answered", ms(c.sinceOut()), ms(c.rtt())))
		}
		return f
	},
})

// answersUs says that a reset may be an answer to bytes of ours: its far end had not acknowledged all,
// had not said FIN, and the reset came no later than an answer would. A host that knows the connection
// acknowledges what it gets, so only then can one that does not know it, or a rule, be the maker.
func (c *Case) answersUs() bool {
	if c.wire.form() != noReset {
		return c.unknownToHost()
	}
	if !c.reset() || c.near() || c.unacked() <= 0 || c.FIN[c.Leg] != nil || c.out() == 0 {
		return false
	}
	return c.sinceOut() <= c.answerTime()
}

// nearerThanPeer says that the reset came too soon after our bytes to be the peer's answer, and that we
// had been quiet before: else it might answer, or just meet, something earlier.
func (c *Case) nearerThanPeer() bool {
	return c.rtt() >= 2*time.Millisecond && c.sinceOut() < c.rtt()/2 && c.quietBefore() >= 2*c.rtt()
}

func (c *Case) citeUnacked() Cite {
	return saw("%s of ours, last sent %s before, were never acknowledged", size(uint64(c.unacked())), ms(c.sinceOut()))
}

// rejectOnWire reads the reset's own packet: an answer that something else than the peer's stack has given.
func rejectOnWire(c *Case) Finding {
	m := c.maker
	refused := c.refused()
	if m.forged >= Likely || m.box <= Silent || !refused && (!c.unknownToHost() || (c.wire.openingAnswered() || c.wire.heldBack()) && m.box < Likely) {
		return Finding{}
	}
	f := Finding{
		Strength: m.box,
		Sentence: say("a firewall or another device answered in place of %s with a reset", c.who()),
		For:      []Cite{c.citePacket()},
		Settle:   []string{"a capture on the peer's host: did it send the reset?"},
	}
	if refused {
		f.Sentence = say("a firewall or another device refused the connection to %s with a reset", c.who())
	}
	for _, text := range m.boxMarks {
		f.For = append(f.For, packets("%s", text))
	}
	switch {
	case m.box == Likely && c.wire.livesOn() == nil && !refused:
		f.Against = []Cite{packets("a host that has taken over the address answers so, too")}
	case refused:
		f.Against = []Cite{packets("a closed port gives the same answer")}
	case m.box == Possible:
		f.Against = []Cite{packets("a host that does not know the connection gives the same answer")}
	}
	return f
}
