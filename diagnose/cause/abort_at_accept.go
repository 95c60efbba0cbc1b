package cause

import (
	"time"

	"whyreset/diagnose/evidence"
)

var _ = register(Cause{
	ID:     "abort_at_accept",
	Origin: Application,
	Title:  "accepted and cut, nothing exchanged",
	Text: "The handshake was completed and the connection ended before a byte went either way. The server cuts new connections on purpose " +
		"(an access list, a limit of connections, a process that is shutting down), or its listening socket was closed, or its process died, " +
		"while the connection waited in the accept queue.",
	Advice: []string{
		"Read the server's log at that time: access lists, connection limits, start and stop",
		"Look whether the service was restarted: a closed listener resets all that wait in its queue",
	},
	Alike: []Alike{
		{"port_closed", "There the handshake is not completed"},
		{"accept_queue_overflow", "There the kernel resets because the queue is full; its reset bears no ACK, which packets show"},
		{"probe", "There the client leaves, not the server"},
	},
	IETF: 4, HAProxy: "SD", Envoy: "RemoteReset",
	Beats: []string{"app_abort", "idle_close", "clean_close"},
	Rule: func(c *Case) Finding {
		if c.Leg != evidence.Upstream || !c.Connected || c.in() > 0 || c.out() > 0 || c.anyFIN() && !c.isFIN() {
			return Finding{}
		}
		after := c.End.At - c.ConnectedAt
		switch {
		case c.reset():
			f := Finding{
				Strength: Likely,
				Sentence: say("upstream %s accepted the connection and reset it %s later, before anything was exchanged", c.Server, ms(after)),
				For:      []Cite{saw("the handshake was complete, no byte had gone either way, then %s", c.errno())},
			}
			if !c.near() {
				f.Settle = []string{"the reset's own header (evidence.packets)"}
			}
			return f
		case c.isFIN() && after <= atOnce && c.FIN[evidence.Downstream] == nil && c.Down.In == 0:
			return Finding{
				Strength: Likely,
				Sentence: say("upstream %s accepted the connection and closed it %s later, before anything was exchanged", c.Server, ms(after)),
				For:      []Cite{saw("the handshake was complete, no byte had gone either way, then a FIN")},
			}
		}
		return Finding{}
	},
})

// atOnce is the time within which a close of an unused connection is a refusal rather than a timeout.
const atOnce = time.Second
