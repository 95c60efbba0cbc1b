package cause

import (
	"time"

	"whyreset/diagnose/evidence"
)

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
	Beats: []string{"unreachable", "icmp_reject", "path_silent", "app_abort", "app_close_unread", "stale_connection", "firewall_reject", "injected_reset", "connect_timeout",
		"keepalive_unanswered", "port_closed"},
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
		if f := deafHere(c); f.Strength != Silent {
			return f
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
		if c.neverSent() {
			return Finding{
				Strength: Likely,
				Sentence: say("a rule of this host stopped the connection to upstream %s: not a packet of it left", c.Server),
				For: []Cite{saw("the attempt ended after %s", ms(c.End.At)),
					packets("packets were watched, and those of the client seen; none went to the upstream")},
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

// neverSent says that our SYN did not pass where packets leave this host, though it was watched: what was refused, or never answered, was
// stopped before. A rule's own answer comes in by the loopback device.
func (c *Case) neverSent() bool {
	refused := c.refused() && c.ICMP == nil
	if c.near() || !refused && !c.did(evidence.ConnectTimeout) && !c.connectFailed(evidence.ETIMEDOUT) {
		return false
	}
	if c.Coverage.Packets == evidence.NonePassed(evidence.Upstream) {
		return true
	}
	watching, answered := false, false
	for _, o := range c.Observations {
		p, ok := o.What.(evidence.Packet)
		switch {
		case !ok:
		case o.Leg == evidence.Downstream:
			watching = watching || p.From == evidence.Downstream && p.Flags&evidence.SYN != 0
		case p.From == evidence.NoLeg:
			return false
		default:
			answered = answered || p.Flags&evidence.RST != 0
		}
	}
	return refused && watching && answered
}

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

// deafHere knows a host whose packet filter keeps from its own sockets what has reached it: the packets are there to be captured, and
// the socket sends on as if they were not.
func deafHere(c *Case) Finding {
	w := c.wire
	switch {
	case w == nil:
	case c.onWire():
		r := w.resetPacket()
		if !c.captured || r == nil || w.form() != reply || w.livesOn() == nil || !w.endsHere(r.From) || w.deaf(r.From, w.rst) == nil {
			break
		}
		return Finding{
			Strength: Likely,
			Sentence: say("a rule on the host of %s, where this was captured, reset the connection and kept the packets from its own socket", c.who()),
			For: []Cite{
				c.citePacket(),
				packets("its socket sent again, %s later, what had been acknowledged: the acknowledgement was captured here and did not reach it",
					ms(w.deaf(r.From, w.rst).at-r.at)),
			},
		}
	case c.gaveUp() && !c.zeroWindow():
		ours := w.upTo(evidence.NoLeg, len(w.packets))
		theirs := w.upTo(c.Leg, len(w.packets))
		if heard := w.answeredProbes(c.Leg, c.End.At); heard > 0 && c.unacked() == 0 { // else they ask for room
			return Finding{
				Strength: Likely,
				Sentence: say("a rule of this host kept the answers of %s from the proxy's socket, until the keepalive gave up", c.who()),
				For: []Cite{
					c.saw("the connection ended with %s", c.errno()),
					packets("the last %d keepalive probes were answered, and the answers came in here", heard),
				},
			}
		}
		again := w.deaf(evidence.NoLeg, -1)
		if again == nil || !ours.known || !theirs.acks || after(ours.next, theirs.acked) {
			break
		}
		f := Finding{
			Strength: Likely,
			Sentence: say("a rule of this host kept the packets of %s from the proxy's socket, until the connection was given up", c.who()),
			For: []Cite{
				c.saw("the connection ended with %s", c.errno()),
				packets("the peer had acknowledged all that was sent, and its packets came in here; the socket went on sending again"),
			},
		}
		for i := range w.packets {
			if p := &w.packets[i]; p.From == evidence.NoLeg && !p.ordinary() && p.at < c.End.At {
				f.Strength = Conclusive
				f.For = append(f.For, packets("a reset went out in the proxy's name at %s while its socket was open", ms(p.at)))
				break
			}
		}
		return f
	case !c.Connected && c.Leg == evidence.Upstream && (c.did(evidence.ConnectTimeout) || c.connectFailed(evidence.ETIMEDOUT)):
		for i := range w.packets {
			p := &w.packets[i]
			if p.From == c.Leg && p.has(evidence.SYN) && p.has(evidence.ACK) && c.End.At-p.at > w.flight(evidence.NoLeg) {
				return Finding{
					Strength: Likely,
					Sentence: say("a rule of this host kept the answer of upstream %s from the proxy's socket", c.Server),
					For: []Cite{packets("the SYN-ACK came in here at %s, %s before the attempt was given up", ms(p.at), ms(c.End.At-p.at)),
						saw("the attempt ended unanswered, as the socket saw it")},
				}
			}
		}
	}
	return Finding{}
}

// deaf is the first packet in which an end sends again, after packet number n, what the other had acknowledged long enough before.
func (w *wire) deaf(end evidence.Leg, n int) *heard {
	flight := w.flight(end)
	var acked uint32
	var ackedAt time.Duration
	known := false
	for i := range w.packets {
		p := &w.packets[i]
		switch {
		case p.From != end && p.ordinary() && p.has(evidence.ACK) && (!known || after(p.Ack, acked)):
			acked, ackedAt, known = p.Ack, p.at, true
		case p.From == end && i > n && p.ordinary() && p.Payload > 1 && known && !after(p.End(), acked) && p.at-ackedAt > flight:
			return p
		}
	}
	return nil
}

// endsHere says that the packets were captured on the host of that end: they have the TTL that stacks begin with, and its answers take no
// time.
func (w *wire) endsHere(end evidence.Leg) bool {
	for i := range w.packets {
		p := &w.packets[i]
		if p.From == end && p.ordinary() {
			return (p.TTL == 64 || p.TTL == 128 || p.TTL == 255) && w.rttTo(end) < time.Millisecond
		}
	}
	return false
}

// answeredProbes counts our keepalive probes, the last ones before the time given, that an end answered.
func (w *wire) answeredProbes(end evidence.Leg, before time.Duration) (n int) {
	waiting := false
	for i := range w.packets {
		p := &w.packets[i]
		switch {
		case p.at > before:
			return n
		case p.From == evidence.NoLeg && p.Probe && p.ordinary():
			if waiting {
				n = 0
			}
			waiting = true
		case p.From == end && p.ordinary() && p.Window == 0:
			waiting, n = false, 0 // its window is shut: the probes ask for room, and the kernel gives up for want of it
		case p.From == end && p.ordinary() && waiting:
			waiting, n = false, n+1
		case p.From == evidence.NoLeg && p.ordinary() && p.Payload > 0:
			waiting, n = false, 0
		}
	}
	if waiting {
		return 0
	}
	return n
}
