package cause

var _ = register(Cause{
	ID:     "keepalive_unanswered",
	Origin: Network,
	Title:  "the idle peer did not answer our keepalive",
	Text: "Nothing was outstanding; our own keepalive probes (timeouts.keepalive) went unanswered and the kernel gave up. The peer's host is gone or cut off, " +
		"or a box between has forgotten the connection and drops in silence.",
	Advice: []string{
		"Check whether the peer's host was stopped, or the way to it cut",
		"If a firewall or NAT box forgets idle connections, set timeouts.keepalive below its idle timeout",
	},
	Alike: []Alike{{"path_silent", "There data was outstanding"}},
	IETF:  14, HAProxy: "sD, cD", Envoy: "LocalReset",
	Rule: func(c *Case) Finding {
		s := c.Snap[c.Leg]
		if !c.timedOut() || s == nil || s.Outstanding > 0 {
			return Finding{}
		}
		f := Finding{
			Strength: Likely,
			Sentence: say("%s did not answer our keepalive probes; it was last heard of %s before", c.who(), ms(min(s.LastAckRecv, s.LastDataRecv))),
			For:      []Cite{saw("ETIMEDOUT with nothing outstanding: only keepalive times out so (tcp_keepalive_timer)")},
			Against:  []Cite{droppedHere},
			Settle:   []string{lookOutside},
		}
		if q := c.unanswered(); q.known && q.asked > 0 {
			f.Strength, f.Against, f.Settle = Conclusive, nil, []string{"a capture at the other end: do the probes arrive there?"}
			f.For = append(f.For, packets("%d probes left this host, and nothing came in for %s", q.asked, ms(c.End.At-q.heard)))
		}
		return f
	},
})
