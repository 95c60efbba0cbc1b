package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "closed_unanswered",
	Origin: Application,
	Title:  "the server closed without answering the last request",
	Text: "The server read what the client sent, or at least its kernel took it, and closed in order instead of answering. A process that crashes or is killed after reading looks so, " +
		"as does a policy that drops in silence (nginx return 444), a database that ends the session, or a server's limit on requests per connection.",
	Advice: []string{
		"Look in the server's log for this request, and for a crash, an OOM kill or a restart: journalctl, dmesg",
		"Look for rules that close without an answer: nginx return 444, access limits",
		"If the protocol expects no answer to what was sent (a farewell such as QUIT), it is nothing",
	},
	Alike: []Alike{
		{"idle_close", "There nothing was outstanding"},
		{"app_close_unread", "There bytes were left unread, and a reset says so"},
	},
	HAProxy: "SD", Envoy: "Normal",
	Beats: []string{"clean_close", "idle_close"},
	Rule: func(c *Case) Finding {
		if !c.isFIN() || c.Leg != evidence.Upstream || c.Down.In == 0 || !c.clientSpokeLast() || c.FIN[evidence.Downstream] != nil {
			return Finding{}
		}
		f := Finding{
			Strength: Likely,
			Sentence: say("upstream %s closed the connection %s after the client's last bytes, without an answer to them", c.Server, ms(c.Idle)),
			For: []Cite{
				c.saw("the last bytes came from the client, %s before", ms(c.Idle)),
				c.saw("then a FIN from the upstream; it sent no reset, so its process, or its kernel, had taken what was sent"),
			},
			Against: []Cite{c.saw("the protocol may not ask for an answer to the client's last bytes")},
		}
		if c.onWire() && c.captured && !c.wire.watched {
			f.Strength = Possible
			f.Against = append(f.Against, packets("the answer may be among what was not captured"))
		}
		return f
	},
})
