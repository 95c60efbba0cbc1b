package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "path_silent",
	Origin: Network,
	Title:  "our data was never acknowledged",
	Text: "Bytes were sent again and again and no acknowledgement came, until the kernel gave up. The peer's host is dead or cut off, a filter on the way began to drop in silence, " +
		"or a NAT box or load balancer forgot the connection and drops what it does not know.",
	Advice: []string{
		"Compare the silence before with the idle timeouts of firewalls, NAT boxes and cloud load balancers on the way",
		"Capture at the peer: do the retransmissions arrive there?",
		"To hear of it sooner, set timeouts.user (TCP_USER_TIMEOUT); to keep such boxes from forgetting, enable keepalive on either end",
	},
	Alike: []Alike{
		{"peer_not_reading", "There the peer acknowledges, with a shut window"},
		{"keepalive_unanswered", "There nothing was outstanding but a keepalive probe"},
		{"unreachable", "There a router says that there is no way"},
	},
	IETF: 11, HAProxy: "sD", Envoy: "LocalReset",
	Rule: func(c *Case) Finding {
		if f := silenceOnWire(c); f.Strength != Silent {
			return f
		}
		s := c.Snap[c.Leg]
		if !c.timedOut() || s == nil || s.Outstanding == 0 || c.zeroWindow() {
			return Finding{}
		}
		if c.neverLeft() {
			return Finding{}
		}
		f := Finding{
			Strength: Likely,
			Sentence: say("%s of ours to %s were never acknowledged; the kernel gave up after %s", size(uint64(s.Outstanding)), c.who(), ms(s.LastAckRecv)),
			For: []Cite{
				saw("ETIMEDOUT with %s unacknowledged, %d segments sent again in all", size(uint64(s.Outstanding)), s.TotalRetrans),
				saw("the last acknowledgement came %s before", ms(s.LastAckRecv)),
			},
			Against: []Cite{droppedHere},
			Settle:  []string{lookOutside},
		}
		if q := c.unanswered(); q.known && q.asked > 0 {
			f.Strength, f.Against, f.Settle = Conclusive, nil, []string{"a capture at the other end: do the retransmissions arrive there?"}
			f.For = append(f.For, packets("what was sent again left this host, %d times, and no answer came in for %s", q.asked, ms(c.End.At-q.heard)))
		}
		return f
	},
})

// A rule of this host that drops what comes in, or a SYN that goes out, leaves no trace in a socket: silence is all there
// is to see, so silence is never conclusive without packets.
var droppedHere = saw("a rule of this host that drops in silence would look the same")

const lookOutside = "packets (evidence.packets): whether ours leave and answers come in"

// timedOut says that an established leg ended by the kernel's own patience.
func (c *Case) timedOut() bool { return c.established() && c.errno() == evidence.ETIMEDOUT }

// zeroWindow says that the peer had announced no room and was still there to say so.
func (c *Case) zeroWindow() bool {
	s := c.Snap[c.Leg]
	return s != nil && s.SndWnd == 0 && s.Outstanding > 0
}

// silenceOnWire reads a capture that ends in retransmissions.
func silenceOnWire(c *Case) Finding {
	last, ok := c.End.What.(evidence.Packet)
	if !ok || !last.Repeat || last.Flags&(evidence.RST|evidence.SYN|evidence.FINFlag) != 0 {
		return Finding{}
	}
	tries, first := 0, c.End.At
	for _, p := range c.wire.packets {
		if p.From == last.From && p.Seq == last.Seq {
			tries, first = tries+1, min(first, p.at)
		}
	}
	f := Finding{
		Strength: Likely,
		Sentence: say("%s fell silent: %s sent to it were never acknowledged, for %s", c.who(), size(uint64(max(0, c.wire.lost(c.Leg)))), ms(c.End.At-first)),
		For:      []Cite{packets("the same bytes were sent %d times within %s, and nothing came back", tries, ms(c.End.At-first))},
		Against:  []Cite{packets("the capture may end before the answer")},
		Settle:   []string{"a capture at the other end: do the retransmissions arrive there?"},
	}
	for _, p := range c.wire.packets {
		if p.From == last.From && p.at >= c.End.At && !p.ordinary() {
			f.For = append(f.For, packets("what came from %s at last was answered with a reset, %s after the last try: the connection had been given up", c.who(), ms(p.at-c.End.At)))
			f.Against = nil
			break
		}
	}
	return f
}
