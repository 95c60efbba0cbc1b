package cause

var _ = register(Cause{
	ID:     "injected_reset",
	Origin: Path,
	Title:  "a third party forged the reset",
	Text: "The reset was not written by the stack in whose name it came. It answers no packet, bears marks that no stack writes, or its sender went on as if nothing had been. " +
		"Devices that inspect traffic cut connections so: intrusion prevention, filters of providers and states, tools such as tcpkill, some load balancers at their idle timeout.",
	Advice: []string{
		"Capture at both ends at once: the one in whose name it came has not sent it",
		"Compare its TTL with that of the peer's packets: the difference counts the hops to where it was made",
		"Look for devices that inspect or terminate TCP on the way, and read their logs for this connection",
		"If it comes whenever certain names or words are sent in clear, encrypt them",
	},
	Alike: []Alike{
		{"firewall_reject", "A reject rule answers a packet, at once and in a kernel's form"},
		{"stale_connection", "The host itself answers a packet for a connection that it does not know"},
		{"app_abort", "The reset of a live socket bears its timestamps, its window and the next number of its count"},
	},
	IETF: 9, HAProxy: "SD, CD", Envoy: "RemoteReset",
	Beats: []string{"app_abort", "app_close_unread", "write_after_close", "accept_queue_overflow", "port_closed", "firewall_reject",
		"abort_at_accept", "probe", "client_left"},
	Rule: func(c *Case) Finding {
		m := c.maker
		if m.forged <= Silent || c.kernel != nil && !c.doubted || c.near() && m.forged < Conclusive {
			return Finding{}
		}
		f := Finding{
			Strength: m.forged,
			Sentence: say("a third party forged a reset in the name of %s", c.who()),
			For:      []Cite{c.citePacket()},
		}
		for _, text := range m.marks {
			f.For = append(f.For, packets("%s", text))
		}
		r := c.wire.resetPacket()
		if c.captured && m.forged == Conclusive && c.wire.upTo(r.To, len(c.wire.packets)).packets == 0 {
			f.Strength = Likely
			f.Against = []Cite{packets("nothing of its receiver was captured, which may not have taken it")}
		}
		if m.forged < Conclusive {
			f.Settle = []string{"a capture at the end in whose name it came: did it send the reset?"}
		}
		if m.forged == Possible {
			f.Against = []Cite{packets("it has the form of an answer, and a packet that it answers came by in time")}
		}
		return f
	},
})
