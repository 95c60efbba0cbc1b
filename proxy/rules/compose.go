package rules

import (
	"net/netip"
	"slices"
)

// composer turns settings into a table. The four chains on the packet's way are filled first to last, and those that stay
// empty are left out; the chains of the captures, to which they jump, stand before them.
type composer struct {
	*Settings
	table *table

	in, natIn, out, natOut chain
	routed                 bool // something sets the route mark
}

func (c *composer) compose() {
	c.in = chain{name: "prerouting", base: &base{"filter", "prerouting", priorityMangle}}
	c.natIn = chain{name: "redirect-in", base: &base{"nat", "prerouting", priorityDNAT}}
	c.out = chain{name: "output", base: &base{"route", "output", priorityMangle}}
	c.natOut = chain{name: "redirect-out", base: &base{"nat", "output", priorityDNAT}}

	c.returns()
	c.track()
	c.exempt()
	for _, k := range c.Captures {
		c.table.sets = append(c.table.sets, portSet("ports-"+k.Name, k.Ports))
		d := c.destinations(k)
		if c.incoming(k) {
			c.takeIn(k, d)
		}
		if c.outgoing(k) {
			c.takeOut(k, d)
		}
	}
	c.follow()
	for _, ch := range []*chain{&c.in, &c.natIn, &c.out, &c.natOut} {
		if len(ch.rules) > 0 {
			c.table.chains = append(c.table.chains, ch)
		}
	}
}

// deliver is how a rule ends whose packets belong to a socket of ours, whatever their destination.
func (c *composer) deliver(terms ...term) []term {
	c.routed = true
	return append(terms, term{op: opSetMark, n: c.RouteMark}, term{op: opAccept})
}

// returns is for packets that come back to the proxy's transparent sockets.
func (c *composer) returns() {
	spoofed := slices.ContainsFunc(c.Captures, func(k Capture) bool { return k.Source != SourceOwn && c.incoming(k) })
	if !spoofed {
		return
	}
	c.out.add(term{op: opMark, n: c.Mark}, term{op: opSetCtMark, n: c.Mark})
	if c.Placement == Router {
		// Errors that this host makes itself never come in. Errors alone: with source client the tracker takes both legs for
		// one connection, so that its reply direction is also that of our answers to the client.
		c.out.add(c.deliver(term{op: opICMP}, term{op: opCtRelated}, term{op: opCtMark, n: c.Mark})...)
	} else {
		c.out.add(c.deliver(term{op: opCtReply}, term{op: opCtMark, n: c.Mark})...)
	}
}

// follow has all packets come to transparent sockets that are there already. It stands behind what takes new connections: to
// a client that uses its port again the socket of its last connection is still there, in TIME_WAIT, and only tproxy lets a
// listener have the SYN nevertheless (nf_tproxy_handle_time_wait4). Delivered to that socket it would be challenged.
func (c *composer) follow() {
	transparent := slices.ContainsFunc(c.Captures, func(k Capture) bool {
		return k.Mode == TProxy || k.Source != SourceOwn && c.incoming(k)
	})
	if c.Placement == Router && transparent {
		// ICMP too: an error about what we sent as the client is addressed to the client.
		c.in.add(c.deliver(term{op: opTransparent})...)
	}
}

// exempt lets out what the proxy itself sends, before anything that leaves is taken.
func (c *composer) exempt() {
	for mode, ch := range map[Mode]*chain{TProxy: &c.out, Redirect: &c.natOut} {
		if !slices.ContainsFunc(c.Captures, func(k Capture) bool { return k.Mode == mode && c.outgoing(k) }) {
			continue
		}
		if c.Mark != 0 {
			ch.add(term{op: opMark, n: c.Mark}, term{op: opAccept})
		}
		if c.User != nil {
			ch.add(term{op: opUser, n: *c.User}, term{op: opAccept})
		}
		if mode == TProxy { // the rest of a connection follows its first packet
			ch.add(c.deliver(term{op: opCtOriginal}, term{op: opCtMark, n: c.RouteMark})...)
		}
	}
}

// track keeps the connection tracker at work while Release has emptied the chains that redirect: a kernel starts and stops
// it with the rules that use it, and without it what is redirected falls apart. The rule itself matches nothing, since
// nat chains see only packets that open a connection.
func (c *composer) track() {
	for _, k := range c.Captures {
		for ch, redirects := range map[*chain]bool{&c.natIn: c.incoming(k), &c.natOut: c.outgoing(k)} {
			if k.Mode == Redirect && redirects && len(ch.rules) == 0 {
				ch.add(term{op: opCtReply}, term{op: opAccept})
			}
		}
	}
}

// takeIn takes what comes in by an interface.
func (c *composer) takeIn(k Capture, d destinations) {
	take := c.take("in-"+k.Name, d)
	if c.Placement != Router {
		take.add(term{op: opLocal, not: true}, term{op: opReturn})
	} else if !k.Own {
		take.add(term{op: opLocal}, term{op: opReturn})
	}
	from := &c.in
	switch {
	case k.Mode == Redirect:
		take.add(term{op: opTCP}, term{op: opRedirect, n: uint32(k.Port)})
		from = &c.natIn
	case c.Placement == Router:
		take.add(c.deliver(term{op: opTCP}, term{op: opTProxy, n: uint32(k.Port)})...)
	default: // local as it is; with the mark the answer would be delivered here as well
		take.add(term{op: opTCP}, term{op: opTProxy, n: uint32(k.Port)}, term{op: opAccept})
	}
	dispatch(from, opIIF, k, take)
}

// takeOut takes what this host sends.
func (c *composer) takeOut(k Capture, d destinations) {
	take := c.take("out-"+k.Name, d)
	take.add(term{op: opLocal}, term{op: opReturn})
	from := &c.natOut
	if k.Mode == Redirect {
		take.add(term{op: opTCP}, term{op: opRedirect, n: uint32(k.Port)})
	} else {
		from = &c.out
		take.add(c.deliver(term{op: opSetCtMark, n: c.RouteMark})...)
		back := []term{{op: opIIF, name: "lo"}, {op: opMark, n: c.RouteMark}, {op: opDport, name: "ports-" + k.Name}, {op: opSYN}}
		c.in.add(append(back, term{op: opTProxy, n: uint32(k.Port)}, term{op: opAccept})...)
		// Nobody listens. It is too late to send it out, and IPv4 would answer nothing, since the destination is not local.
		c.in.add(append(back[:len(back):len(back)], term{op: opReject})...)
	}
	dispatch(from, opOIF, k, take)
}

// dispatch sends first packets to the chain that decides, by interface.
func dispatch(from *chain, op op, k Capture, take *chain) {
	by := []term{{op: op, name: "lo", not: true}}
	if len(k.Interfaces) > 0 {
		by = nil
	}
	for _, name := range k.Interfaces {
		by = append(by, term{op: op, name: name})
	}
	for _, match := range by {
		from.add(match, term{op: opDport, name: "ports-" + k.Name}, term{op: opSYN}, term{op: opJump, name: take.name})
	}
}

// destinations are the names of the sets of a capture's destinations; empty where there is no such set.
type destinations struct {
	deny4, deny6, allow4, allow6 string
	listed                       bool // there is an allow list
}

func (c *composer) destinations(k Capture) destinations {
	add := func(name, kind string, wanted bool, prefixes []netip.Prefix) string {
		if !wanted || len(prefixes) == 0 {
			return ""
		}
		name += "-" + k.Name
		c.table.sets = append(c.table.sets, prefixSet(name, kind, prefixes))
		return name
	}
	deny := slices.Clone(k.Deny)
	if !k.LinkLocal && (c.outgoing(k) || c.Placement == Router) {
		deny = append(deny, guarded...)
	}
	deny4, deny6 := split(deny)
	allow4, allow6 := split(k.Allow)
	return destinations{
		deny4: add("deny4", "ipv4_addr", c.IPv4, deny4), deny6: add("deny6", "ipv6_addr", c.IPv6, deny6),
		allow4: add("allow4", "ipv4_addr", c.IPv4, allow4), allow6: add("allow6", "ipv6_addr", c.IPv6, allow6),
		listed: len(k.Allow) > 0,
	}
}

// take begins the chain of a capture: what is not wanted goes direct.
func (c *composer) take(name string, d destinations) *chain {
	ch := &chain{name: name}
	c.table.chains = append(c.table.chains, ch)
	skip := func(t term) { ch.add(t, term{op: opReturn}) }
	if !c.IPv4 || d.listed && d.allow4 == "" {
		skip(term{op: opIPv4})
	}
	if !c.IPv6 || d.listed && d.allow6 == "" {
		skip(term{op: opIPv6})
	}
	for _, t := range []term{
		{op: opDaddr4, name: d.deny4}, {op: opDaddr6, name: d.deny6},
		{op: opDaddr4, name: d.allow4, not: true}, {op: opDaddr6, name: d.allow6, not: true},
	} {
		if t.name != "" {
			skip(t)
		}
	}
	return ch
}
