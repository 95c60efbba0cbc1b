package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "port_closed",
	Origin: Host,
	Title:  "nothing listens on that port",
	Text: "The host answered our SYN with a reset: it is up and reachable, and no process has that port open. " +
		"The service is stopped, has crashed, has not started yet, or listens on another port or address.",
	Advice: []string{
		"Look on the host whether the service runs and what it listens on: ss -ltnp",
		"Compare its address: a service on 127.0.0.1 or on IPv4 only refuses all else",
		"If the service does listen, look for a firewall rule that rejects with a TCP reset: nft list ruleset",
	},
	Alike: []Alike{
		{"firewall_reject", "A rule 'reject with tcp reset' sends the very same packet; made by a box on the path it comes sooner or with another TTL, which packets show"},
		{"icmp_reject", "There an ICMP error says no, and names its sender"},
		{"connect_timeout", "There nobody answers at all"},
	},
	IETF: 2, HAProxy: "SC", Envoy: "UF",
	Rule: func(c *Case) Finding {
		if !c.refused() || c.ICMP != nil {
			return Finding{}
		}
		if c.wire.form() != noReset {
			return closedOnWire(c)
		}
		f := Finding{
			Strength: Likely,
			Sentence: say("upstream %s refused the connection: no process listens there", c.Server),
			For:      []Cite{saw("the SYN was answered with a reset (ECONNREFUSED) after %s", ms(c.End.At))},
		}
		if c.near() {
			f.For = append(f.For, saw("the upstream is this very host: there is no box between"))
			return f
		}
		f.Against = []Cite{saw("a firewall rule 'reject with tcp reset' gives the same answer")}
		f.Settle = []string{"the reset's own header (evidence.packets), beside what is known of this host"}
		return f
	},
})

// refused says that the upstream's handshake was answered with a no.
func (c *Case) refused() bool {
	if c.onWire() {
		return c.Leg == evidence.Upstream && !c.Connected && c.wire.resetPacket() != nil
	}
	return c.Leg == evidence.Upstream && !c.Connected && c.connectFailed(evidence.ECONNREFUSED)
}

// connectFailed says that the ending is a connect that failed so.
func (c *Case) connectFailed(e evidence.Errno) bool {
	s, ok := c.End.What.(evidence.Socket)
	return ok && s.Call == evidence.Connect && s.Saw == evidence.Error && s.Errno == e
}

// closedOnWire reads the answer's own packet, beside what is known of the host.
func closedOnWire(c *Case) Finding {
	if c.maker.forged > Silent || c.cleared(evidence.ReasonNoSocket) {
		return Finding{}
	}
	f := Finding{
		Strength: Likely,
		Sentence: say("upstream %s refused the connection: no process listens there", c.Server),
		For:      []Cite{c.citePacket()},
	}
	for _, text := range c.maker.against {
		f.For = append(f.For, packets("%s", text))
	}
	switch s := c.kernelSays(evidence.ReasonNoSocket); {
	case s != Silent:
		f.Strength, f.For = s, append(f.For, c.citeKernel())
	case c.near():
		f.For = append(f.For, packets("the upstream is this very host: there is no box between"))
	case len(c.maker.boxMarks) > 0:
		f.Strength = Possible
		for _, text := range c.maker.boxMarks {
			f.Against = append(f.Against, packets("%s", text))
		}
	case c.maker.box > Silent:
		f.Against = []Cite{packets("a firewall rule 'reject with tcp reset' gives the same answer")}
		f.Settle = []string{"other connections to this host: their TTL and round trip", "the kernel's reset reason on the peer's host"}
	}
	return f
}
