package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "accept_queue_overflow",
	Origin: Host,
	Title:  "the handshake ended in a bare reset: the accept queue was full",
	Text: "The server's kernel had answered the SYN, and answered the third packet of the handshake with a reset. With net.ipv4.tcp_abort_on_overflow set, Linux does so when the application " +
		"does not accept fast enough and its queue is full. SYN proxies that do not find the server behind them do the same.",
	Advice: []string{
		"Look for a full queue on the server: ss -ltn (Recv-Q beside Send-Q), nstat -az TcpExtListenOverflows",
		"Let the application accept faster, or raise its listen backlog and net.core.somaxconn",
		"Look whether net.ipv4.tcp_abort_on_overflow is set, or a SYN proxy stands in front",
	},
	Alike: []Alike{
		{"abort_at_accept", "There the application, or its death, ends a connection that the kernel had; that reset bears the ACK flag"},
		{"connect_timeout", "Without tcp_abort_on_overflow a full queue drops in silence"},
	},
	IETF: 7, HAProxy: "SD", Envoy: "RemoteReset",
	Beats: []string{"abort_at_accept"},
	Rule: func(c *Case) Finding {
		if c.Leg != evidence.Upstream || !c.reset() || c.cleared(evidence.ReasonInvalidSYN) {
			return Finding{}
		}
		s := c.kernelSays(evidence.ReasonInvalidSYN)
		answered := c.wire.openingAnswered() && c.maker.own()
		if s == Silent && !answered {
			return Finding{}
		}
		f := Finding{
			Strength: Likely,
			Sentence: say("the kernel of upstream %s reset the connection when the handshake was complete: its accept queue was full", c.Server),
			Settle:   []string{"the server's counters: nstat -az TcpExtListenOverflows"},
		}
		if answered {
			f.For = append(f.For, c.citePacket(), packets("it answers the third packet of the handshake, and the server had sent nothing since its SYN-ACK"))
			f.Against = []Cite{packets("a SYN proxy in front of the server does the same")}
		}
		if s != Silent {
			f.Strength, f.Against, f.Settle = s, nil, nil
			f.For = append(f.For, c.citeKernel())
		}
		return f
	},
})
