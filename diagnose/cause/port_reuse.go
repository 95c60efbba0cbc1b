package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "port_reuse",
	Origin: Host,
	Title:  "the SYN met an old connection of the same addresses",
	Text: "The client opened a connection from a port that it had used shortly before, and the server still held the old connection. The server answered the SYN with an " +
		"acknowledgement of the old one (RFC 5961 §4.2), the client cleared that away with a reset, and had to send its SYN again: one to three seconds are lost, nothing else.",
	Advice: []string{
		"If connecting is slow because of it, let the client use more local ports (net.ipv4.ip_local_port_range) or keep connections open",
		"Look whether a NAT box on the way gives the same port again too soon",
	},
	Alike:   []Alike{{"ignored_reset", "There the connection was open already"}, {"client_left", "There the client gives up, and does not ask again"}},
	HAProxy: "--", Envoy: "Normal",
	Beats: []string{"client_left", "probe", "ignored_reset", "connect_timeout"},
	Rule: func(c *Case) Finding {
		if !c.oldConnection() {
			return Finding{}
		}
		r := c.wire.takenBack()
		f := Finding{
			Strength: Likely,
			Sentence: say("the SYN to upstream %s met an old connection of the same ports, which a reset of the client cleared away", c.Server),
			For:      []Cite{packets("the SYN was answered with an acknowledgement of something else, and the client reset that at %s", ms(r.at))},
		}
		if c.Connected {
			f.For = append(f.For, packets("then the SYN, sent again, was accepted"))
		}
		return f
	},
})

// oldConnection says that the first reset cleared an old connection away, and that nothing else ended this one but a FIN.
func (c *Case) oldConnection() bool {
	return c.captured && c.onWire() && c.wire != nil && c.wire.takenBack() != nil
}

// takenBack is the first reset, if it is the client's answer, while it connects, to an acknowledgement that does not fit its SYN
// (RFC 9293 §3.10.7.3).
func (w *wire) takenBack() *heard {
	n := w.passed
	if n < 0 || w.rst >= 0 {
		n = w.rst
	}
	if n < 0 {
		return nil
	}
	r := &w.packets[n]
	from := w.upTo(r.From, n)
	if r.has(evidence.ACK) || !from.syn || from.answers || from.acks || from.bytes > 0 {
		return nil
	}
	for i := n - 1; i >= 0; i-- {
		p := &w.packets[i]
		if p.From == r.To && p.ordinary() && p.has(evidence.ACK) {
			if !p.has(evidence.SYN) && p.Ack == r.Seq && p.Ack != from.isn+1 {
				return r
			}
			return nil
		}
	}
	return nil
}
