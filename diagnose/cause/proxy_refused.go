package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "proxy_refused",
	Origin: Proxy,
	Title:  "the proxy refused the connection",
	Text: "The connection would have led back to the proxy itself: it came from an upstream leg of ours. Going on would make a loop in which one connection becomes as many as there are ports, " +
		"so it was refused at the first turn.",
	Advice: []string{
		"Correct the upstream: it must not be, directly or by a rule on the way, an address on which whyreset listens",
		"In transparent modes, exempt the proxy's own connections from the rules",
	},
	IETF: 9, HAProxy: "PC", Envoy: "NR",
	Rule: ours(evidence.Refused, func(c *Case) Finding {
		return Finding{
			Sentence: say("the proxy refused the connection from %s: it is one of the proxy's own, come back", c.Client),
			For:      []Cite{did("its addresses are those of an upstream leg of ours")},
		}
	}),
})
