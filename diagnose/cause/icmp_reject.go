package cause

import (
	"net/netip"

	"whyreset/diagnose/evidence"
)

var _ = register(Cause{
	ID:     "icmp_reject",
	Origin: Path,
	Title:  "a firewall said no by ICMP",
	Text: "Instead of the peer, a device answered with an ICMP error that only a filter sends: administratively prohibited, or port unreachable, " +
		"which no TCP host says of itself but which is the default answer of an iptables REJECT rule. The device is named by the sender of the error.",
	Advice: []string{
		"Look for the reject rule on the box named: nft list ruleset, iptables-save, or the security policy of the device",
		"Allow this source, destination and port there",
	},
	Alike: []Alike{
		{"unreachable", "Codes 'network' and 'host unreachable' mean that there is no way, not that it is forbidden"},
		{"port_closed", "There a TCP reset comes, not an ICMP error"},
		{"local_firewall", "There the sender of the ICMP error is this host itself"},
	},
	IETF: 9, HAProxy: "SC", Envoy: "UF",
	Rule: func(c *Case) Finding {
		if c.Leg != evidence.Upstream && !c.established() {
			return Finding{}
		}
		if c.established() && c.Soft != nil && c.gaveUp() && prohibits(c.Soft) && !c.fromHere(c.Soft) && !c.neverLeft() {
			f := Finding{
				Strength: Likely,
				Sentence: say("%s refused our packets to %s by ICMP until the connection was given up: %s", box(c.Soft.From), c.who(), icmpName(c.Soft)),
				For: []Cite{
					packets("ICMP error %s from %s about what was sent", icmpName(c.Soft), c.Soft.From),
					saw("the connection ended with %s: the last ICMP error takes the place of the timeout (tcp_write_err)", c.errno()),
				},
			}
			if c.wire.sent(c.Soft.Seq) {
				f.Strength = Conclusive
				f.For = append(f.For, packets("what it is about had left this host"))
			}
			if c.Soft.From == c.peer() {
				f.Origin = Host
			}
			return f
		}
		if c.established() {
			// Established, only the give-up tells the last soft error (tcp_write_err), without its sender.
			if e := c.errno(); e == evidence.ECONNREFUSED || e == evidence.EACCES || e == evidence.ENOPROTOOPT {
				return Finding{
					Strength: Likely,
					Sentence: say("a firewall between here and %s refused our packets by ICMP until the connection was given up", c.who()),
					For:      []Cite{saw("the connection ended with %s, which only an ICMP error can cause on an established one", e)},
					Against:  []Cite{saw("the sender of the ICMP error is not told to sockets; a rule of this host would look the same")},
					Settle:   []string{"the ICMP error itself (evidence.packets)"},
				}
			}
			return Finding{}
		}
		icmp := c.ICMP
		if icmp == nil {
			// IPv6 without an entry in the error queue: the errno is all there is (icmpv6_err_convert).
			if c.errno() == evidence.EACCES {
				return Finding{
					Strength: Likely,
					Sentence: say("a firewall on the way to upstream %s prohibits the connection", c.Server),
					For:      []Cite{saw("connect failed with EACCES, which is how ICMPv6 'administratively prohibited' arrives")},
				}
			}
			return Finding{}
		}
		if !prohibits(icmp) || c.fromHere(icmp) {
			return Finding{}
		}
		f := Finding{
			Strength: Conclusive,
			Sentence: say("%s refused the connection to upstream %s by ICMP: %s", box(icmp.From), c.Server, icmpName(icmp)),
			For:      []Cite{c.saw("ICMP error %s from %s about the SYN, after %s", icmpName(icmp), icmp.From, ms(c.End.At))},
		}
		if icmp.From == c.Server.Addr() {
			f.Origin = Host
			f.Sentence = say("the host of upstream %s itself refused the connection by ICMP: %s", c.Server, icmpName(icmp))
		}
		return f
	},
})

// prohibits parts the ICMP errors that only a filter sends from those that say there is no way.
func prohibits(e *evidence.ICMP) bool {
	if e.IPv6 {
		return e.Type == 1 && (e.Code == 1 || e.Code == 4 || e.Code == 5 || e.Code == 6)
	}
	return e.Type == 3 && (e.Code == 2 || e.Code == 3 || e.Code == 9 || e.Code == 10 || e.Code == 13)
}

// icmpName is the error's name in RFC 792, 1122, 1812 and 4443, with its numbers.
func icmpName(e *evidence.ICMP) string {
	names := map[uint8]string{0: "network unreachable", 1: "host unreachable", 2: "protocol unreachable", 3: "port unreachable",
		9: "network administratively prohibited", 10: "host administratively prohibited", 13: "communication administratively prohibited"}
	kind := "ICMP"
	if e.IPv6 {
		kind = "ICMPv6"
		names = map[uint8]string{0: "no route to destination", 1: "administratively prohibited", 3: "address unreachable", 4: "port unreachable",
			5: "source address failed policy", 6: "reject route"}
	}
	unreachable := uint8(3)
	if e.IPv6 {
		unreachable = 1
	}
	name, known := names[e.Code]
	if !known || e.Type != unreachable {
		return say("%s type %d code %d", kind, e.Type, e.Code)
	}
	return say("%s (%s %d/%d)", name, kind, e.Type, e.Code)
}

// box says in a sentence who sent an ICMP error about the way to a server.
func box(from netip.Addr) string {
	if !from.IsValid() {
		return "a box on the way"
	}
	return "the box " + from.String()
}

// sent says that a segment of ours with that sequence number was seen on its way out.
func (w *wire) sent(seq uint32) bool {
	for i := range w.packets {
		if p := &w.packets[i]; p.From == evidence.NoLeg && p.Seq == seq && p.Payload > 0 {
			return true
		}
	}
	return false
}
