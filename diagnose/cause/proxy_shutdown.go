package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "proxy_shutdown",
	Origin: Proxy,
	Title:  "the proxy was stopped",
	Text:   "whyreset was told to stop, waited for timeouts.stop_grace, and reset the connections that were still there.",
	Advice: []string{"Raise timeouts.stop_grace if sessions are long", "Drain the traffic to this proxy before it is stopped"},
	IETF:   4, HAProxy: "K", Envoy: "LocalReset",
	Rule: ours(evidence.Shutdown, func(c *Case) Finding {
		return Finding{
			Sentence: say("the proxy was stopped and reset the connection, %s after it began", ms(c.End.At)),
			For:      []Cite{did("we were told to stop, and the time to end in peace (timeouts.stop_grace) was over")},
		}
	}),
})
