package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "local_firewall",
	Origin: Local,
	Title:  "a rule on this very host cut it",
	Text:   "The packet was stopped before it left the proxy's host, or on its way in, by a packet filter there. Neither the peer nor the network had a part in it.",
	Advice: []string{
		"List the rules of this host: nft list ruleset, iptables-save",
		"If whyreset runs in a container, look in the container's and in the host's network namespace",
	},
	Alike: []Alike{
		{"icmp_reject", "There another box sends the ICMP error"},
		{"firewall_reject", "A reset made by a rule here looks like one from outside; a capture shows that it never was on the wire"},
	},
	IETF: 9, HAProxy: "SC", Envoy: "UF",
	Beats: []string{"unreachable"},
	Rule: func(c *Case) Finding {
		if c.Connected || c.Leg != evidence.Upstream {
			return Finding{}
		}
		if c.ICMP != nil && prohibits(c.ICMP) && c.ICMP.From == c.OwnUp.Addr() {
			return Finding{
				Strength: Conclusive,
				Sentence: say("a rule of this host rejects connections to upstream %s: %s", c.Server, icmpName(c.ICMP)),
				For:      []Cite{saw("the ICMP error %s about our SYN came from our own address %s", icmpName(c.ICMP), c.ICMP.From)},
			}
		}
		if c.errno() == evidence.EPERM {
			return Finding{
				Strength: Likely,
				Sentence: say("this host does not let the connection to upstream %s out", c.Server),
				For:      []Cite{saw("connect failed with EPERM: a packet filter or a security module refused it")},
			}
		}
		return Finding{}
	},
})
