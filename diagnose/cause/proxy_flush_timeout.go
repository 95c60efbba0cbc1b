package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "proxy_flush_timeout",
	Origin: Proxy,
	Title:  "our own limit on delivering the last bytes",
	Text: "One side was gone and the proxy was delivering what it had sent. The other side took nothing of it for as long as timeouts.flush allows, " +
		"so the proxy gave up and the rest is lost. So it is, with source client, when the client comes back from the same port to the same server meanwhile: " +
		"there can be one such connection only, and listeners[].on_conflict chose the new one.",
	Advice: []string{"Find out why that side does not read", "Raise timeouts.flush, or set it to 0, if it is just slow",
		"A client that came back: set listeners[].on_conflict to other-port, and both go on"},
	Alike: []Alike{{"peer_not_reading", "There the kernel's user timeout gives up, while both sides are still there"}},
	IETF:  14, HAProxy: "cL", Envoy: "triggered_delayed_close_timeout",
	Rule: func(c *Case) Finding {
		switch {
		case c.did(evidence.FlushTimeout):
			return Finding{Strength: Conclusive,
				Sentence: say("%s did not take the last %s for as long as the proxy waits", c.who(), size(c.Lost())),
				For:      []Cite{did("our flush timeout (timeouts.flush) ran out with %s undelivered", size(c.Lost()))},
			}
		case c.did(evidence.ClientBack):
			f := Finding{Strength: Conclusive,
				Sentence: say("the proxy aborted the connection with %s undelivered: client %s had come back from the same port", size(c.Lost()), c.Client),
				For:      []Cite{did("the client opened a new connection from the same address and port, and listeners[].on_conflict is abort-old")},
			}
			if c.FIN[evidence.Downstream] == nil { // it has ended for the client, who could not come back otherwise
				f.Strength, f.Against = Possible, []Cite{saw("how the connection had ended for the client was not seen")}
			}
			return f
		}
		return Finding{}
	},
})
