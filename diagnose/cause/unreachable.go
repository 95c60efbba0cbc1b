package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "unreachable",
	Origin: Network,
	Title:  "there is no way to the peer",
	Text: "A router, or this host, has no route to the peer's address, or the last one before it asked for the peer on its network and nobody answered: " +
		"the host is down, gone, or its address is wrong. The sender of the ICMP error is the place where the way ends.",
	Advice: []string{
		"Check that the peer's host is up and has this address",
		"Look at the route on the box named: ip route get ADDRESS",
		"If the box is the last one before the peer, ask it who it sees there: ip neigh",
	},
	Alike: []Alike{
		{"icmp_reject", "A reject rule can be set to say 'host unreachable' too; the box named tells where to look"},
		{"connect_timeout", "There nobody says anything"},
	},
	IETF: 13, HAProxy: "SC", Envoy: "UF",
	Rule: func(c *Case) Finding {
		e := c.errno()
		if c.onWire() && !c.Connected && c.ICMP != nil {
			e = evidence.EHOSTUNREACH
		}
		switch e {
		case evidence.EHOSTUNREACH, evidence.ENETUNREACH, evidence.EHOSTDOWN, evidence.ENETDOWN:
		default:
			return Finding{}
		}
		if c.established() && c.Soft != nil && prohibits(c.Soft) {
			return Finding{}
		}
		if c.established() && c.Soft != nil && saysUnreachable(c.Soft) {
			return Finding{
				Strength: Likely,
				Sentence: say("the way to %s was lost: %s says %s, until the connection was given up", c.who(), box(c.Soft.From), icmpName(c.Soft)),
				For: []Cite{
					saw("the connection ended with %s: the last ICMP error takes the place of the timeout (tcp_write_err)", e),
					packets("ICMP error %s from %s about what was sent", icmpName(c.Soft), c.Soft.From),
				},
				Settle: []string{"the routes and rules of the box named"},
			}
		}
		if c.established() {
			return Finding{
				Strength: Possible,
				Sentence: say("the way to %s was lost: our packets were answered by ICMP until the connection was given up", c.who()),
				For:      []Cite{saw("the connection ended with %s: the last ICMP error takes the place of the timeout (tcp_write_err)", e)},
				Against:  []Cite{saw("a firewall that rejects by ICMP looks the same to a socket")},
				Settle:   []string{"the ICMP error itself (evidence.packets)"},
			}
		}
		if c.ICMP == nil {
			return Finding{
				Strength: Likely, Origin: Local,
				Sentence: say("this host has no way to upstream %s", c.Server),
				For:      []Cite{saw("connect failed with %s after %s, and no ICMP error came", e, ms(c.End.At))},
			}
		}
		if prohibits(c.ICMP) || !saysUnreachable(c.ICMP) {
			return Finding{}
		}
		f := Finding{
			Strength: Likely,
			Sentence: say("upstream %s cannot be reached: %s says %s", c.Server, box(c.ICMP.From), icmpName(c.ICMP)),
			For:      []Cite{c.saw("ICMP error %s from %s about the SYN, after %s", icmpName(c.ICMP), c.ICMP.From, ms(c.End.At))},
			Settle:   []string{"the routes and rules of the box named"},
		}
		if c.fromHere(c.ICMP) {
			f.Sentence = say("upstream %s does not answer on this host's own network: %s", c.Server, icmpName(c.ICMP))
			f.For = append(f.For, saw("the ICMP error is this host's own: it asked for the address on its network and nobody answered"))
		}
		return f
	},
})

// saysUnreachable says that an ICMP error is of the kind that tells of a way that does not exist, or of nobody at its end.
func saysUnreachable(e *evidence.ICMP) bool {
	if e.IPv6 {
		return e.Type == 1 || e.Type == 3
	}
	return e.Type == 3 && e.Code != 4 || e.Type == 11
}
