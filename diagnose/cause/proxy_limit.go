package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "proxy_limit",
	Origin: Proxy,
	Title:  "a limit of the proxy, or of its host, was reached",
	Text: "The proxy could not, or was told not to, carry another connection: limits.connections, limits.per_source, the number of open files, " +
		"memory for sockets, or the range of local ports.",
	Advice: []string{
		"Raise the limit that is named: limits.* in the configuration, LimitNOFILE of the unit, net.ipv4.ip_local_port_range",
		"If connections pile up, look why they do not end: ss -tn state established",
	},
	IETF: 10, HAProxy: "PC, RC", Envoy: "UO",
	Rule: func(c *Case) Finding {
		if c.did(evidence.Limit) {
			return Finding{
				Strength: Conclusive,
				Sentence: say("the proxy refused client %s: a limit on connections is reached", c.Client),
				For:      []Cite{did("limits.connections, limits.per_source or a limit of this host")},
			}
		}
		if c.Connected || c.Leg != evidence.Upstream {
			return Finding{}
		}
		switch e := c.errno(); e {
		case evidence.EMFILE, evidence.ENFILE, evidence.ENOBUFS, evidence.ENOMEM:
			return Finding{
				Strength: Conclusive,
				Sentence: say("this host has no descriptors or memory left to connect to upstream %s", c.Server),
				For:      []Cite{saw("the socket for the upstream could not be made: %s", e)},
			}
		case evidence.EADDRNOTAVAIL:
			return Finding{
				Strength: Likely,
				Sentence: say("no local port is free to connect to upstream %s", c.Server),
				For:      []Cite{saw("connect failed with EADDRNOTAVAIL")},
			}
		}
		return Finding{}
	},
})
