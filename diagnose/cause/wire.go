package cause

import (
	"time"

	"whyreset/diagnose/evidence"
)

// wire is what packets show of the connection that ended: a leg of ours, or, in a capture, the connection itself. What it is
// asked is seen from the far end that the ending is about: its packets are the peer's, those sent to it are ours, whoever
// "we" are.
type wire struct {
	packets []heard // in order; copies met at another place of the path are left out
	rst     int     // of packets: the reset to be explained; -1: none
	passed  int     // of packets: a reset that ended nothing; -1: none

	// The accounts of each far end's and of our direction, by who sent: before the reset, and the last.
	before, final [3]*evidence.Stream
	told          []told // all of them, as they stand in the evidence
	base          [3]*evidence.Baseline
	longest       time.Duration // round trip that our kernel reckons with, SRTT + 4 RTTVAR (RFC 6298 §2); zero: not known
	watched       bool
}

// told is an account and its place in the evidence.
type told struct {
	*evidence.Stream
	obs int
}

// heard is a packet and its moment.
type heard struct {
	*evidence.Packet
	at  time.Duration
	obs int // its place in the evidence
}

func (h *heard) has(f evidence.TCPFlags) bool { return h.Flags&f != 0 }

// ordinary is a packet that is no reset: a living socket's.
func (h *heard) ordinary() bool { return !h.has(evidence.RST) }

// newWire takes the packets of a leg; nil when there are none.
func newWire(ev *evidence.Evidence, leg evidence.Leg) *wire {
	w := &wire{rst: -1, passed: -1, watched: ev.Coverage.Has(evidence.Packets)}
	for i := range ev.Observations {
		switch p := ev.Observations[i].What.(type) {
		case evidence.Packet:
			if (p.From == leg || p.To == leg) && !p.Copy && p.From != p.To && p.From <= evidence.Upstream {
				w.packets = append(w.packets, heard{&p, ev.Observations[i].At, i})
			}
		case evidence.Stream:
			if (p.From == leg || p.To == leg) && p.From <= evidence.Upstream {
				w.final[p.From] = &p
				w.told = append(w.told, told{&p, i})
			}
		case evidence.Baseline:
			if p.Of <= evidence.Upstream {
				w.base[p.Of] = &p
			}
		}
	}
	if len(w.packets) == 0 {
		return nil
	}
	return w
}

// explain settles which reset is to be explained, and takes the accounts that stood before it.
func (w *wire) explain(rst int) {
	w.rst = rst
	for end := range w.before {
		w.before[end] = w.lastTold(evidence.Leg(end), rst)
	}
}

// lastTold is the last account of an end that stands before packet number n; nil without one.
func (w *wire) lastTold(of evidence.Leg, n int) (s *evidence.Stream) {
	for _, t := range w.told {
		if t.From == of && (n >= len(w.packets) || t.obs < w.packets[n].obs) {
			s = t.Stream
		}
	}
	return s
}

// watchedPackets says whether there are packets, whether they are those of the connection itself, with nothing of ours between its ends,
// and whether a far end sent a reset.
func watchedPackets(ev *evidence.Evidence) (any, captured, reset bool) {
	for i := range ev.Observations {
		if p, ok := ev.Observations[i].What.(evidence.Packet); ok {
			any, captured = true, captured || p.From != evidence.NoLeg && p.To != evidence.NoLeg
			reset = reset || p.From != evidence.NoLeg && p.Flags&evidence.RST != 0
		}
	}
	return any, captured, reset
}

// account is what one end had sent by a moment.
type account struct {
	packets      int
	bytes        uint64
	lastData     time.Duration // see bytes
	next, acked  uint32
	known, acks  bool // next, acked hold
	fin          bool
	finAt        time.Duration
	syn, answers bool // it sent a SYN, a SYN-ACK
	isn          uint32
}

// upTo is what from had sent before packet number n.
func (w *wire) upTo(from evidence.Leg, n int) account {
	var a account
	for i := range w.packets[:n] {
		p := &w.packets[i]
		if p.From != from || !p.ordinary() {
			continue
		}
		a.packets++
		if p.has(evidence.SYN) {
			a.syn, a.answers = true, a.answers || p.has(evidence.ACK)
			a.isn = p.Seq
		}
		if p.has(evidence.ACK) && (!a.acks || p.has(evidence.SYN) || after(p.Ack, a.acked)) {
			a.acked, a.acks = p.Ack, true
		}
		if p.Probe {
			continue
		}
		if p.Payload > 0 && !p.Repeat {
			a.bytes += uint64(p.Payload)
			a.lastData = p.at
		}
		if p.has(evidence.FINFlag) && !a.fin {
			a.fin, a.finAt = true, p.at
		}
		if end := p.End(); !a.known || after(end, a.next) {
			a.next, a.known = end, true
		}
	}
	// The account of all packets knows more than those that are told.
	s := w.before[from]
	if n > w.rst || w.rst < 0 {
		s = w.final[from]
	}
	if s != nil {
		at := w.packets[max(0, n-1)].at
		if s.Bytes > a.bytes && (s.LastDataAt <= at || n >= len(w.packets)) {
			a.bytes, a.lastData = s.Bytes, s.LastDataAt
		}
		if s.FIN && s.FINAt <= at && !a.fin {
			a.fin, a.finAt = true, s.FINAt
		}
	}
	if s = w.lastTold(from, n); s == nil {
		return a
	}
	if s.HasNext && (!a.known || after(s.Next, a.next)) {
		a.next, a.known = s.Next, true
	}
	if s.HasAck && (!a.acks || after(s.Acked, a.acked)) {
		a.acked, a.acks = s.Acked, true
	}
	return a
}

// after compares sequence numbers (RFC 9293 §3.4).
func after(a, b uint32) bool { return int32(a-b) > 0 }

// rttTo is the smallest round trip seen from here to an end; zero when none was.
func (w *wire) rttTo(end evidence.Leg) time.Duration {
	least := time.Duration(0)
	take := func(d time.Duration) {
		if d > 0 && (least == 0 || d < least) {
			least = d
		}
	}
	if s := w.final[end]; s != nil {
		take(s.HandshakeRTT)
		take(s.MinRTT)
	}
	if least > 0 {
		return least
	}
	return w.openingRTT(end)
}

// openingRTT is the round trip to an end by the first answer to a SYN or SYN-ACK that was sent once; zero when there is none.
func (w *wire) openingRTT(end evidence.Leg) time.Duration {
	if s := w.final[end]; s != nil && s.HandshakeRTT > 0 {
		return s.HandshakeRTT
	}
	asked := -1
	for i := range w.packets {
		p := &w.packets[i]
		switch {
		case p.From != end && p.has(evidence.SYN) && p.ordinary():
			if asked >= 0 {
				return 0
			}
			asked = i
		case p.From == end && asked >= 0 && p.has(evidence.ACK) && p.ordinary() && p.Ack == w.packets[asked].End():
			return p.at - w.packets[asked].at
		}
	}
	return 0
}

// begins says that the connection is told from its beginning.
func (w *wire) begins() bool {
	for i := range w.packets {
		if p := &w.packets[i]; p.has(evidence.SYN) && p.ordinary() {
			return true
		}
	}
	return false
}
