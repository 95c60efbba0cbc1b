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
	Beats: []string{"unreachable", "icmp_reject", "path_silent", "app_abort", "app_close_unread", "stale_connection", "firewall_reject"},
	Rule: func(c *Case) Finding {
		if c.neverLeft() {
			s := c.Snap[c.Leg]
			text := "this host did not let our packets to %s out, until the connection was given up"
			if c.reset() {
				text = "a rule of this host answered our packets to %s with a reset: they never left"
			}
			return Finding{
				Strength: Likely,
				Sentence: say(text, c.who()),
				For: []Cite{
					saw("the connection ended with %s", c.errno()),
					saw("%s waited unsent although the peer had room for %s: every attempt to send failed on this host", size(uint64(s.NotSent)), size(uint64(s.SndWnd))),
				},
				Against: []Cite{saw("an interface that is down looks the same")},
			}
		}
		if c.Connected || c.Leg != evidence.Upstream {
			return Finding{}
		}
		if c.ICMP != nil && prohibits(c.ICMP) && c.fromHere(c.ICMP) {
			return Finding{
				Strength: Conclusive,
				Sentence: say("a rule of this host rejects connections to upstream %s: %s", c.Server, icmpName(c.ICMP)),
				For:      []Cite{saw("the ICMP error %s about our SYN came from this host's own address %s", icmpName(c.ICMP), c.ICMP.From)},
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

// fromHere says that this host itself sent the ICMP error.
func (c *Case) fromHere(e *evidence.ICMP) bool { return e.Own || e.From == c.OwnUp.Addr() }

// neverLeft says that what was unacknowledged at the end had never been sent although the peer had room:
// a packet that this host's own rules stop is not counted as sent (tcp_write_xmit, tcp_probe_timer).
// Measured on 6.18: behind a rule on the way NotSent is 0.
func (c *Case) neverLeft() bool {
	s := c.Snap[c.Leg]
	if s == nil || !c.established() || s.NotSent == 0 || s.NotSent != s.Outstanding || s.SndWnd < s.NotSent {
		return false
	}
	return c.gaveUp() || c.errno() == evidence.ECONNRESET
}

// gaveUp says that the kernel ended an established leg by its own patience; the last ICMP error's word
// takes the place of the timeout (tcp_write_err).
func (c *Case) gaveUp() bool {
	switch c.errno() {
	case evidence.ETIMEDOUT, evidence.EHOSTUNREACH, evidence.ENETUNREACH, evidence.ECONNREFUSED, evidence.EACCES,
		evidence.ENOPROTOOPT, evidence.EHOSTDOWN, evidence.ENETDOWN:
		return c.established()
	}
	return false
}
