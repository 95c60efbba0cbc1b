package cause

import (
	"time"

	"whyreset/diagnose/evidence"
)

// wireEnd is an ending found in packets: its place in the evidence, the end that it is about, and, where it is a reset, which packet.
type wireEnd struct {
	obs int
	leg evidence.Leg
	rst int // -1: none
}

// end finds the ending to be explained: the first reset that its receiver took, else an opening that came to nothing, else the first
// FIN, else a silence that nothing broke. What is not there did not end.
func (w *wire) end(ev *evidence.Evidence) (e wireEnd, ok bool) {
	for i := range w.packets {
		p := &w.packets[i]
		if p.ordinary() {
			continue
		}
		if p.From == evidence.NoLeg {
			break // ours: why we ended it only our socket knew, and what the far end does afterwards follows from it
		}
		if w.took(i) {
			if last := w.gaveUp(i); last != nil {
				return wireEnd{last.obs, last.To, -1}, true
			}
			return wireEnd{p.obs, p.From, i}, true
		}
		if w.passed < 0 {
			w.passed = i
		}
	}
	if e, ok := w.unopened(ev); ok {
		return e, true
	}
	for i := range w.packets {
		if p := &w.packets[i]; p.has(evidence.FINFlag) && p.ordinary() && p.From != evidence.NoLeg {
			return wireEnd{p.obs, p.From, -1}, true
		}
	}
	return w.silence()
}

// took says that the receiver of a reset died of it, as far as can be seen: a socket that has accepted a reset sends nothing any more
// but resets. What was on its way does not count, unless it acknowledges what came behind the reset, nor does another bare
// acknowledgement, which asks back about a reset that is not exact (RFC 5961 §3.2) and whose answer then kills. Of a long queue more may
// be on its way than a round trip tells, so unless the receiver goes on for long, the sender must have gone on, too.
func (w *wire) took(i int) bool {
	r := &w.packets[i]
	if !w.acceptable(i) {
		return false
	}
	to, flight := w.upTo(r.To, i), w.flight(r.To)
	from := w.upTo(r.From, i)
	lives := false
	for j := i + 1; j < len(w.packets); j++ {
		p := &w.packets[j]
		switch {
		case lives && p.From == r.From && p.ordinary():
			return false
		case p.From != r.To || !p.ordinary():
		case p.has(evidence.SYN):
			if p.has(evidence.ACK) {
				return false // the handshake went on
			} // else: some ask again when they are refused
		case p.has(evidence.ACK) && (!from.known || after(p.Ack, from.next)):
			return false
		case p.at-r.at <= flight:
		case p.Payload > 0, p.has(evidence.FINFlag), p.has(evidence.ACK) && (!to.acks || after(p.Ack, to.acked)):
			if lives = true; p.at-r.at > flight+longQueue {
				return false
			}
		}
	}
	return true
}

// longQueue is what queues add to a round trip where they are worst.
const longQueue = time.Second

// acceptable says that the receiver's stack may take the reset: in answer to a SYN it must acknowledge it (RFC 9293 §3.10.7.3), and later
// lie in the window (§3.5.3). Where the receiver stands is known by what it acknowledged, and no better.
func (w *wire) acceptable(i int) bool {
	r := &w.packets[i]
	to, from := w.upTo(r.To, i), w.upTo(r.From, i)
	if to.syn && !to.answers && !to.acks {
		if from.packets > 0 && !from.answers {
			return true // both open at once, or strays
		}
		// Some take one that acknowledges the SYN's own number, as a forger has it: what follows shows.
		return r.has(evidence.ACK) && (!to.known || r.Ack == to.isn || r.Ack == to.isn+1 || after(r.Ack, to.isn+1) && !after(r.Ack, to.next))
	}
	if !to.acks {
		return true
	}
	ahead := int32(r.Seq - to.acked)
	return ahead >= -1 && ahead <= int32(w.window(r.To, i))
}

// window is the largest that an end can have had open before packet number n.
func (w *wire) window(of evidence.Leg, n int) uint32 {
	most := uint32(1 << 16)
	for i := range w.packets[:n] {
		p := &w.packets[i]
		if p.From != of || !p.ordinary() {
			continue
		}
		size, known := p.WindowBytes()
		if !known {
			size = uint32(p.Window) << 7 // the commonest shift
		}
		most = max(most, size)
	}
	return min(most, 1<<30)
}

// flight is how long packets of an end may still come after it has stopped sending: the way of the reset to it, and of its last packets
// back.
func (w *wire) flight(end evidence.Leg) time.Duration {
	if rtt := w.rttTo(end); rtt > 0 {
		return 3*rtt/2 + answerSlack
	}
	return unknownFlight
}

// unknownFlight is more than most round trips.
const unknownFlight = 200 * time.Millisecond

// unopened finds the end of an opening that nobody answered: an ICMP error about the SYN, or silence.
func (w *wire) unopened(ev *evidence.Evidence) (e wireEnd, ok bool) {
	var syn *heard
	for i := range w.packets {
		p := &w.packets[i]
		switch {
		case p.has(evidence.SYN) && !p.has(evidence.ACK) && (syn == nil || syn.From == p.From):
			if syn == nil || p.Seq == syn.Seq {
				syn = p
			}
		case p.ordinary() && syn != nil && p.From != syn.From:
			return e, false // it was answered
		case p.ordinary():
			return e, false // something before the SYN, or behind it, was not told
		}
	}
	if syn == nil || syn.To == evidence.NoLeg {
		return e, false
	}
	if s := w.final[syn.To]; s != nil && s.Packets > uint64(s.Resets) {
		return e, false
	}
	if i := errorAbout(ev, syn); i >= 0 {
		return wireEnd{i, syn.To, -1}, true
	}
	if w.passed >= 0 && w.packets[w.passed].From == syn.From {
		return e, false // it took its SYN back, or the old connection's away
	}
	return wireEnd{syn.obs, syn.To, -1}, true
}

// silence finds data that was sent again and again and never acknowledged: the last try. A peer that went on acknowledging, or a capture
// that ended soon, is no end.
func (w *wire) silence() (e wireEnd, ok bool) {
	n := len(w.packets)
	last := &w.packets[n-1]
	if last.To == evidence.NoLeg || !last.ordinary() || !last.Repeat && !last.Probe {
		return e, false
	}
	tries, first := 0, last
	for i := n - 1; i >= 0; i-- {
		p := &w.packets[i]
		if p.From != last.From {
			break
		}
		if p.Seq == last.Seq {
			tries, first = tries+1, p
		}
	}
	if tries < 4 || last.at-first.at < givenUp {
		return e, false
	}
	return wireEnd{last.obs, last.To, -1}, true
}

// gaveUp knows a bare reset that is only the consequence of a silence: its sender had sent the same bytes again and again, nobody had
// acknowledged them, and what the other end sends at last finds the connection gone. It gives the last try; nil when it was not so.
func (w *wire) gaveUp(rst int) (last *heard) {
	r := &w.packets[rst]
	from, to := w.upTo(r.From, rst), w.upTo(r.To, rst)
	if r.has(evidence.ACK) || r.To == evidence.NoLeg || from.fin || !to.acks || !after(from.next, to.acked) {
		return nil
	}
	again, asked := 0, false
	for i := range w.packets[:rst] {
		p := &w.packets[i]
		switch {
		case !p.ordinary():
			return nil
		case p.From == r.To:
			asked = asked || p.has(evidence.ACK) && p.Ack == r.Seq
		case p.Repeat && p.Payload > 0 && p.Seq == to.acked:
			again, last, asked = again+1, p, false
		}
	}
	if again < fewTries || !asked {
		return nil
	}
	return last
}

// fewTries is how often bytes are sent again at least before a silence is more than a loss.
const fewTries = 2

// givenUp is how long a silence must last to be taken for the end: RFC 9293 §3.8.3 asks stacks to try for 100 s at least.
const givenUp = 100 * time.Second

// errorAbout is the place of the ICMP error that says no to a SYN; -1 when there is none.
func errorAbout(ev *evidence.Evidence, syn *heard) int {
	for i := range ev.Observations {
		e, is := ev.Observations[i].What.(evidence.ICMP)
		if is && e.OnWire && e.About == syn.From && e.Seq == syn.Seq && e.MTU == 0 {
			return i
		}
	}
	return -1
}

// aboutSYN is that error for the SYN that went out; nil when there is none.
func (w *wire) aboutSYN(ev *evidence.Evidence) *evidence.ICMP {
	for i := range w.packets {
		p := &w.packets[i]
		if !p.has(evidence.SYN) || p.has(evidence.ACK) || p.From != evidence.NoLeg {
			continue
		}
		if at := errorAbout(ev, p); at >= 0 {
			e := ev.Observations[at].What.(evidence.ICMP)
			return &e
		}
	}
	return nil
}
