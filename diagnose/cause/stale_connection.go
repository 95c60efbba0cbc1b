package cause

import "time"

var _ = register(Cause{
	ID:     "stale_connection",
	Origin: Host,
	Title:  "the peer's host does not know this connection any more",
	Text: "Our packet reached a host that has no such connection and therefore answered with a reset, as RFC 9293 asks. " +
		"It was restarted, another host took over its address, a NAT or load balancer on the way forgot the entry and now sends elsewhere, " +
		"or the peer itself gave up earlier while nothing of it reached us.",
	Advice: []string{
		"Compare the silence before the reset with the idle timeouts of NAT boxes and load balancers on the way; keep pooled connections shorter than the shortest",
		"Enable TCP keepalive below that timeout, on either end",
		"Look whether the peer's host was restarted or failed over at that time: last reboot, the orchestrator's events",
		"Let the client retry on a fresh connection when a reused one is reset before any answer",
	},
	Alike: []Alike{
		{"firewall_reject", "A rule answers with the same packet; only where it was made differs"},
		{"app_abort", "There the host knows the connection, and its application ends it; what we sent before is acknowledged"},
		{"write_after_close", "There a FIN came first"},
	},
	IETF: 2, HAProxy: "SD", Envoy: "RemoteReset",
	Rule: func(c *Case) Finding {
		if !c.answersUs() || c.nearerThanPeer() {
			return Finding{}
		}
		quiet := c.quietBefore()
		if quiet < staleAfter {
			return Finding{} // a peer that was there a moment ago: its application is the likelier one
		}
		f := Finding{
			Strength: Possible,
			Sentence: say("%s no longer knows this connection: after %s of silence it answered our next bytes with a reset", c.who(), ms(quiet)),
			For: []Cite{
				saw("the peer had been silent for %s when we sent", ms(quiet)),
				c.citeUnacked(),
				saw("the reset came %s after them, as an answer would (round trip %s), with no FIN before", ms(c.sinceOut()), ms(c.rtt())),
			},
			Against: []Cite{saw("a firewall rule gives the same answer")},
			Settle:  []string{"the reset's own header (evidence.packets)", "the peer's uptime and the tables of NAT boxes between"},
		}
		if quiet >= longSilence {
			f.Strength = Likely
		}
		return f
	},
})

const (
	// staleAfter is the least silence after which a lost state is thought of before an application that
	// cuts at once.
	staleAfter = time.Second
	// longSilence is the shortest idle timeout of a load balancer or NAT box known (facts on timers: 60 s
	// is common, 20 s the shortest settable ones in use).
	longSilence = 20 * time.Second
)
