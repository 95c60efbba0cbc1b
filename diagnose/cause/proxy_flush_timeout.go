package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "proxy_flush_timeout",
	Origin: Proxy,
	Title:  "our own limit on delivering the last bytes",
	Text: "One side was gone and the proxy was delivering what it had sent. The other side took nothing of it for as long as timeouts.flush allows, " +
		"so the proxy gave up and the rest is lost.",
	Advice: []string{"Find out why that side does not read", "Raise timeouts.flush, or set it to 0, if it is just slow"},
	Alike:  []Alike{{"peer_not_reading", "There the kernel's user timeout gives up, while both sides are still there"}},
	IETF:   14, HAProxy: "cL", Envoy: "triggered_delayed_close_timeout",
	Rule: ours(evidence.FlushTimeout, func(c *Case) Finding {
		return Finding{
			Sentence: say("%s did not take the last %s for as long as the proxy waits", c.who(), size(c.Lost())),
			For:      []Cite{did("our flush timeout (timeouts.flush) ran out with %s undelivered", size(c.Lost()))},
		}
	}),
})
