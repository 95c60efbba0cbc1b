package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "client_left",
	Origin: Application,
	Title:  "the client went away while the upstream was still being connected",
	Text:   "The client ended its connection before the connection to the upstream was made: it gave up waiting, or was stopped. The attempt was cancelled.",
	Advice: []string{
		"If clients give up often, look why connecting to the upstream takes so long",
		"Compare the time with the client's own connect or request timeout",
	},
	Alike:   []Alike{{"probe", "There the upstream was connected"}, {"connect_timeout", "There we gave up, not the client"}},
	HAProxy: "CC", Envoy: "RemoteReset",
	Beats: []string{"app_abort", "app_close_unread"},
	Rule: func(c *Case) Finding {
		if c.Leg != evidence.Downstream || c.Connected || !(c.isFIN() || c.onWire() && c.wire.resetPacket() != nil || c.errno() != 0 && c.errno() != evidence.ECONNABORTED) {
			return Finding{}
		}
		strength := Likely // a box between can reset, too
		switch s := c.Snap[evidence.Upstream]; {
		case s == nil:
		case s.State == synSent && (c.isFIN() || c.near()), (s.State == synSent || s.State == tcpClose) && c.reason(aborted...):
			strength = Conclusive
		}
		if c.maker.forged >= Likely {
			return Finding{}
		}
		return Finding{
			Strength: strength,
			Sentence: say("client %s left after %s, while upstream %s had not answered yet", c.Client, ms(c.End.At), c.Server),
			For:      []Cite{c.saw("a %s from the client before the upstream's handshake was complete", c.endWord())},
		}
	},
})

// synSent is TCP_SYN_SENT of include/net/tcp_states.h.
const synSent = 2
