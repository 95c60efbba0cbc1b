package cause

import (
	"time"

	"whyreset/diagnose/evidence"
)

// marks are what in a reset no honest stack writes. certain: none at all; the rest speak against the stack that its sender's earlier
// packets show, so they count by their number.
type marks struct {
	certain []string
	odd     []string
}

// forgery looks for the marks of a reset that its sender did not write.
func (w *wire) forgery() marks {
	var m marks
	r := w.resetPacket()
	if text := w.burst(); text != "" {
		m.certain = append(m.certain, text)
	}
	if text := w.climbing(); text != "" {
		m.certain = append(m.certain, text)
	}
	if text := w.turnedAround(); text != "" {
		m.certain = append(m.certain, text)
	}
	if text := w.wrongAnswer(); text != "" {
		m.certain = append(m.certain, text)
	}
	if w.passed >= 0 && w.packets[w.passed].From == r.From {
		earlier := *w
		earlier.rst, earlier.passed = w.passed, -1
		if text := earlier.wrongAnswer(); text != "" {
			m.certain = append(m.certain, "an earlier reset in the same name was forged: "+text)
		}
	}
	switch w.form() {
	case reply:
		m.odd = w.oddReply()
	case active:
		m.odd = w.oddActive()
	}
	return m
}

// oddReply holds a bare reset beside the one that Linux writes: IP ID 0, DF, acknowledgement field 0, window 0, no options.
func (w *wire) oddReply() (odd []string) {
	r := w.resetPacket()
	last := w.lastOf(r.From)
	if last == nil {
		return nil // of a stack that was never seen nothing is odd
	}
	if !r.IPv6 && !r.DF && last.DF {
		odd = append(odd, "DF is clear")
	}
	if r.Ack != 0 {
		odd = append(odd, "a number in the acknowledgement field without the ACK flag")
	}
	if r.Window != 0 {
		odd = append(odd, say("a window of %d", r.Window))
	}
	// Kernels before 4.x write a random one in resets, so alone it is nothing.
	if len(odd) > 0 && !r.IPv6 && r.ID != 0 {
		odd = append(odd, say("IP ID %d where a kernel writes 0 in a reset without socket", r.ID))
	}
	return odd
}

// oddActive holds the reset of a socket beside that socket's other packets: its timestamps, its window, its count of IP IDs.
func (w *wire) oddActive() (odd []string) {
	r := w.resetPacket()
	last := w.lastOf(r.From)
	if last == nil {
		return nil
	}
	stamped := w.stamped(r.From)
	if stamped && r.HasTimestamp {
		return nil // a forger would have to have seen, and meant, the very socket's clock
	}
	if to := w.upTo(r.To, w.rst); to.known && w.watched && after(r.Ack, to.next) && r.Ack-to.next < 1<<30 {
		odd = append(odd, say("it acknowledges %s that were never sent", size(uint64(r.Ack-to.next)))) // or were not captured
	}
	if stamped && !r.Cut {
		odd = append(odd, "no timestamp, though the connection has them")
	}
	if r.Window == 0 && last.Window != 0 {
		odd = append(odd, "a window of 0")
	}
	if !r.IPv6 && last.DF && !r.DF {
		odd = append(odd, "DF is clear")
	}
	if !r.IPv6 && !last.has(evidence.SYN) {
		if step := r.ID - last.ID; step == 0 || step > 4*lostSteps {
			odd = append(odd, say("IP ID %d does not continue the count, %d before", r.ID, last.ID))
		}
	}
	if ours := w.lastOf(r.To); ours != nil && !ours.has(evidence.SYN) && r.Window == ours.Window && r.Window != 0 && !w.announced(r.From, r.Window) {
		odd = append(odd, say("its window %d is that of the packet before it, which went the other way", r.Window))
	}
	if r.IPv6 && w.labels(r.From) && r.FlowLabel == 0 {
		odd = append(odd, "no flow label, though the connection has one")
	}
	return odd
}

// stamped says that an end sends timestamps in its ordinary packets (RFC 7323 §3.2: then in all).
func (w *wire) stamped(end evidence.Leg) bool {
	last := w.lastOf(end)
	return last != nil && last.HasTimestamp && !last.has(evidence.SYN)
}

// burst knows tcpkill: bare resets in one moment, each further ahead by a growing multiple of the window that it saw, to hit a sequence
// number it may have missed (tcpkill.c: seq += i * win). No stack sends resets ahead of what it has sent; those that answer
// acknowledgements one after the other climb too, and stay below.
func (w *wire) burst() string {
	r := w.resetPacket()
	var steps []uint32
	last := r
	for i := w.rst + 1; i < len(w.packets); i++ {
		p := &w.packets[i]
		if p.From != r.From || p.ordinary() || p.has(evidence.ACK) || p.at-r.at > burstTime {
			continue
		}
		if sent := w.upTo(r.From, i); sent.known && !after(p.Seq, sent.next) {
			continue
		}
		steps, last = append(steps, p.Seq-last.Seq), p
	}
	if r.has(evidence.ACK) || len(steps) < 2 || steps[0] == 0 || steps[0] > 1<<16 || steps[1] != 2*steps[0] {
		return ""
	}
	return say("%d resets in one moment, ahead by %d and twice that: tcpkill writes them so", len(steps)+1, steps[0])
}

const burstTime = 50 * time.Millisecond

// climbing knows resets of some national filters: three with ACK and one sequence number, the window or the TTL growing by one.
func (w *wire) climbing() string {
	r := w.resetPacket()
	window, ttl, n := true, true, 1
	last := r
	for i := w.rst + 1; i < len(w.packets); i++ {
		p := &w.packets[i]
		if p.From != r.From || p.ordinary() || !p.has(evidence.ACK) || p.Seq != r.Seq || p.at-r.at > time.Second {
			continue
		}
		window, ttl = window && p.Window == last.Window+1, ttl && p.TTL == last.TTL+1
		last, n = p, n+1
	}
	if !r.has(evidence.ACK) || n < 3 || !window && !ttl {
		return ""
	}
	what := "window"
	if !window {
		what = "TTL"
	}
	return say("%d resets of one sequence number whose %s grows by one: no stack counts there", n, what)
}

// turnedAround knows devices that make the reset out of the packet that they saw, and leave its IP ID and window.
func (w *wire) turnedAround() string {
	r := w.resetPacket()
	if r.IPv6 || r.ID == 0 || r.Window == 0 {
		return ""
	}
	last, own := w.lastOf(r.To), w.lastOf(r.From)
	if last == nil || last.ID != r.ID || last.Window != r.Window || own != nil && (own.ID == r.ID || own.Window == r.Window) {
		return ""
	}
	return say("IP ID %d and window %d are those of the packet before it, which went the other way", r.ID, r.Window)
}

// wrongAnswer knows a reset that answers a SYN and acknowledges the SYN's own number, not the next (RFC 9293 §3.10.7.1): a stack that
// refuses cannot miscount.
func (w *wire) wrongAnswer() string {
	r := w.resetPacket()
	to := w.upTo(r.To, w.rst)
	if !r.has(evidence.ACK) || !to.syn || to.answers || to.acks || w.upTo(r.From, w.rst).packets > 0 {
		return ""
	}
	if r.Ack == to.isn {
		return "it acknowledges the SYN's own number, not the one behind it"
	}
	return ""
}

// announced says that an end has had that window in a packet of its own.
func (w *wire) announced(by evidence.Leg, window uint16) bool {
	for i := range w.packets[:w.rst] {
		if p := &w.packets[i]; p.From == by && p.ordinary() && p.Window == window {
			return true
		}
	}
	return false
}

// runsAhead says that a later reset of the same sender lies beyond all that it had sent and that was acknowledged: guesses at where the
// receiver stands. A stack answers with what it was asked (Weaver et al., NDSS 2009: RST_SEQ_CHANGE).
func (w *wire) runsAhead() bool {
	r := w.resetPacket()
	for i := w.rst + 1; i < len(w.packets) && w.watched; i++ {
		p := &w.packets[i]
		if p.From != r.From || p.ordinary() || p.at-r.at > guessing {
			continue
		}
		from, to := w.upTo(r.From, i), w.upTo(r.To, i)
		if from.known && after(p.Seq, from.next) && after(p.Seq, r.Seq+2) && (!to.acks || after(p.Seq, to.acked)) {
			return true
		}
	}
	return false
}

// guessing is within what time a forger sends all his guesses.
const guessing = 2 * time.Second
