package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "connect_timeout",
	Origin: Network,
	Title:  "the connection was never answered",
	Text: "Our SYN was sent again and again, and nothing came back. A rule drops it silently, the host is dead or its address belongs to nobody, " +
		"the answer is lost on its way back, or the service's accept queue is full, in which case Linux drops SYNs without a word.",
	Advice: []string{
		"Try from another place on the same network as the peer: if it works there, a filter between drops the packets",
		"On the peer, look for a full accept queue: ss -ltn (Recv-Q beside Send-Q), nstat -az TcpExtListenOverflows",
		"Check that the peer's host is up and that its way back leads here",
	},
	Alike: []Alike{
		{"unreachable", "There a router says that there is no way"},
		{"port_closed", "There the host answers with a reset"},
	},
	IETF: 14, HAProxy: "sC", Envoy: "UF",
	Rule: func(c *Case) Finding {
		if c.Connected || c.Leg != evidence.Upstream {
			return Finding{}
		}
		if f := neverAnswered(c); f.Strength != Silent {
			return f
		}
		ours := c.did(evidence.ConnectTimeout)
		if !ours && !c.connectFailed(evidence.ETIMEDOUT) {
			return Finding{}
		}
		f := Finding{
			Strength: Likely,
			Sentence: say("upstream %s never answered the connection attempt, for %s", c.Server, ms(c.End.At)),
		}
		if ours {
			f.For = append(f.For, did("gave up after %s, by our connect timeout (timeouts.connect)", ms(c.End.At)))
		} else {
			f.For = append(f.For, saw("connect failed with ETIMEDOUT after %s: the kernel's own limit", ms(c.End.At)))
		}
		s := c.Snap[evidence.Upstream]
		switch {
		case s != nil && s.TotalRetrans > 0:
			f.For = append(f.For, saw("the SYN was sent again %d times", s.TotalRetrans))
		case ours:
			f.Against = append(f.Against, saw("the SYN was sent only once: the answer may just have been slow"))
			f.Settle = []string{"a longer timeouts.connect"}
		}
		if q := c.unanswered(); q.known && q.asked > 0 && c.ICMP == nil {
			f.Strength, f.Settle = Conclusive, []string{"a capture at the peer: do the SYNs arrive there?"}
			f.For = append(f.For, packets("%d SYNs left this host, and nothing came in: no SYN-ACK, no reset, no ICMP error", 1+q.asked))
			return f
		}
		f.Against = append(f.Against, droppedHere)
		f.Settle = append(f.Settle, lookOutside)
		return f
	},
})

// neverAnswered reads a capture that shows SYNs and nothing else.
func neverAnswered(c *Case) Finding {
	p, ok := c.End.What.(evidence.Packet)
	if !ok || p.Flags&(evidence.SYN|evidence.RST|evidence.ACK) != evidence.SYN {
		return Finding{}
	}
	tries, first := 0, c.End.At
	for _, one := range c.wire.packets {
		if one.From == p.From && one.has(evidence.SYN) {
			tries, first = tries+1, min(first, one.at)
		}
	}
	if tries < 2 {
		return Finding{
			Strength: Possible,
			Sentence: say("upstream %s did not answer the connection attempt, as far as the capture goes", c.Server),
			For:      []Cite{packets("a SYN, and no answer")},
			Against:  []Cite{packets("it was sent only once: the answer may come later than the capture ends")},
		}
	}
	return Finding{
		Strength: Likely,
		Sentence: say("upstream %s never answered the connection attempt, for %s", c.Server, ms(c.End.At-first)),
		For:      []Cite{packets("%d SYNs within %s, and no answer: no SYN-ACK, no reset, no ICMP error", tries, ms(c.End.At-first))},
		Settle:   []string{"a capture at the peer: do the SYNs arrive there?", "the peer's counters: nstat -az TcpExtListenOverflows"},
	}
}
