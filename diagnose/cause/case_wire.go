package cause

import "whyreset/diagnose/evidence"

// onWire says that the ending to explain was found in packets.
func (c *Case) onWire() bool {
	switch c.End.What.(type) {
	case evidence.Packet:
		return true
	case evidence.ICMP:
		return true
	}
	return false
}

// Blind says that the ending was found in packets of a leg of ours whose socket was not watched.
func (c *Case) Blind() bool { return c.onWire() && !c.captured && !c.Coverage.Has(evidence.Sockets) }

// findEndOnWire looks for an ending in packets where the sockets tell of none, or were not watched; without any, only for a reset. Its
// obs is -1 when there is none.
func (c *Case) findEndOnWire(any bool) (e wireEnd) {
	legs := []evidence.Leg{evidence.Downstream, evidence.Upstream}
	if c.captured {
		legs = legs[1:] // its packets are those of both
	}
	e.obs = -1
	for _, leg := range legs {
		w := newWire(c.Evidence, leg)
		if w == nil {
			continue
		}
		found, ok := w.end(c.Evidence)
		if !any {
			ok = ok && found.rst >= 0 && !c.captured
		} else if !ok && w.passed >= 0 { // a reset, and nothing ended
			p := &w.packets[w.passed]
			found, ok = wireEnd{p.obs, p.From, -1}, true
		}
		if ok && (e.obs < 0 || found.obs < e.obs) {
			e, c.wire = found, w
		}
	}
	return e
}

// readWire enters what the packets of the ended leg tell: all there is where sockets were not watched, else the reset's packet.
func (c *Case) readWire(e wireEnd) {
	if c.isFIN() && !c.onWire() && c.Accounted {
		return // there is nothing that its packets could add
	}
	if !c.onWire() {
		if c.wire = newWire(c.Evidence, c.Leg); c.wire == nil || c.Leg == evidence.NoLeg {
			c.wire = nil
			return
		}
		if c.reset() || c.refused() {
			c.findReset()
		}
		if !c.Connected && c.ICMP == nil {
			c.ICMP = c.wire.aboutSYN(c.Evidence)
		}
		if c.established() {
			c.readSoft()
		}
		n := c.wire.rst
		if n < 0 {
			n = len(c.wire.packets)
		}
		in := c.wire.upTo(c.Leg, n)
		if old := c.FIN[c.Leg]; in.fin && n == c.wire.rst && (old == nil || *old > in.finAt) {
			c.FIN[c.Leg] = &in.finAt // a socket hears of it when it is asked
		}
		if c.transfer(c.Leg) == (evidence.Transfer{}) {
			c.setTransfer(c.Leg, moved(in, c.wire.upTo(evidence.NoLeg, n)))
		}
		return
	}
	w := c.wire
	if e.rst >= 0 {
		w.explain(e.rst)
	}
	if icmp, ok := c.End.What.(evidence.ICMP); ok {
		c.ICMP = &icmp
	}
	n := len(w.packets)
	for i := range w.packets {
		if w.packets[i].obs == e.obs {
			n = i
			if e.rst < 0 {
				n++ // a FIN belongs to what it ends
			}
		}
	}
	for leg := evidence.Downstream; leg <= evidence.Upstream; leg++ {
		other := leg.Other()
		if !c.captured {
			if other = evidence.NoLeg; leg != c.Leg {
				continue
			}
		}
		in, out := w.upTo(leg, n), w.upTo(other, n)
		if c.transfer(leg) == (evidence.Transfer{}) {
			c.setTransfer(leg, moved(in, out))
		}
		if c.Final[leg] == (evidence.Transfer{}) {
			c.Final[leg] = moved(w.upTo(leg, len(w.packets)), w.upTo(other, len(w.packets)))
		}
		if in.fin && c.FIN[leg] == nil {
			c.FIN[leg] = &in.finAt
		}
	}
	c.readOpening(n)
	if c.captured {
		c.readOrder()
	}
}

func moved(in, out account) evidence.Transfer {
	return evidence.Transfer{In: in.bytes, Out: out.bytes, LastIn: in.lastData, LastOut: out.lastData}
}

// readOpening says whether the server's handshake was complete before packet number n, and when. Of a connection whose beginning is not
// there it is taken to be: most packets are of open ones.
func (c *Case) readOpening(n int) {
	w := c.wire
	server, client := evidence.Upstream, evidence.Downstream
	if !c.captured {
		if c.Leg == evidence.Downstream {
			c.readUpstream()
			return
		}
		client = evidence.NoLeg
	}
	srv, cli := w.upTo(server, n), w.upTo(client, n)
	switch {
	case cli.syn:
		c.Connected = c.Connected || srv.answers || cli.acks
	case srv.answers, srv.packets+cli.packets > 0:
		c.Connected = true
	default: // the reset is the first packet of all
		r := w.resetPacket()
		c.Connected = c.Connected || r == nil || !r.has(evidence.ACK) || r.Seq != 0
	}
	for i := range w.packets[:n] {
		p := &w.packets[i]
		if c.Connected && (p.From == server && p.has(evidence.SYN) || !p.has(evidence.SYN)) && p.ordinary() {
			c.ConnectedAt = p.at
			return
		}
	}
}

// readOrder says whether a captured connection is told whole and ended as connections should.
func (c *Case) readOrder() {
	w := c.wire
	a, b := w.upTo(evidence.Downstream, len(w.packets)), w.upTo(evidence.Upstream, len(w.packets))
	c.Accounted = w.watched && w.final[evidence.Downstream] != nil && w.final[evidence.Upstream] != nil && a.syn
	whole := a.fin && b.fin && a.acks && b.acks && !after(a.next, b.acked) && !after(b.next, a.acked)
	for i := range w.packets {
		whole = whole && w.packets[i].ordinary()
	}
	for _, s := range w.final {
		whole = whole && (s == nil || s.Resets == 0)
	}
	c.InOrder = whole
}

// findReset finds the packet of the reset that the sockets tell of: the first that the ended leg's far end sent and our stack may take.
func (c *Case) findReset() {
	w := c.wire
	found := -1
	for i := range w.packets {
		p := &w.packets[i]
		if p.From != c.Leg || p.ordinary() || p.at > c.End.At+answerSlack {
			continue
		}
		if found < 0 || !w.acceptable(found) && w.acceptable(i) {
			found = i
		}
	}
	if found >= 0 {
		w.explain(found)
	}
}

// lost is what had been sent to an end and was not acknowledged, for all that is told.
func (w *wire) lost(to evidence.Leg) int64 {
	if w == nil {
		return 0
	}
	if w.rst >= 0 {
		return w.unacked()
	}
	got := w.upTo(to, len(w.packets))
	for _, from := range []evidence.Leg{evidence.NoLeg, evidence.Downstream, evidence.Upstream} {
		if sent := w.upTo(from, len(w.packets)); from != to && sent.packets > 0 && sent.known && got.acks {
			return int64(max(0, int32(sent.next-got.acked)))
		}
	}
	return 0
}

// readSoft finds the last ICMP error about what we sent over an open connection: soft, until it is given up (RFC 5461).
func (c *Case) readSoft() {
	for _, o := range c.Observations {
		if e, ok := o.What.(evidence.ICMP); ok && e.OnWire && o.Leg == c.Leg && e.About == evidence.NoLeg && e.MTU == 0 && o.At <= c.End.At {
			soft := e
			c.Soft = &soft
		}
	}
}

// readUpstream says whether the upstream was connected when the client's leg ended, by the packets of the upstream's leg.
func (c *Case) readUpstream() {
	for _, o := range c.Observations {
		p, ok := o.What.(evidence.Packet)
		if ok && o.At <= c.End.At && p.From == evidence.Upstream && p.Flags&evidence.RST == 0 {
			if !c.Connected {
				c.Connected, c.ConnectedAt = true, o.At
			}
			return
		}
	}
}
