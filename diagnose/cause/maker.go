package cause

import (
	"time"

	"whyreset/diagnose/evidence"
)

// maker is what the packet of a reset says of who made it: somebody who forges, a device or rule that answers in the peer's place, or,
// with both silent, the peer's own stack.
type maker struct {
	known    bool
	stack    stack // of the sender, by its earlier packets
	forged   Strength
	marks    []string // of a forger, strongest first
	box      Strength // a reject rule, a NAT box or another host answered a packet of ours
	boxMarks []string
	against  []string // what speaks for the peer's own stack

	// A bare reset that answers nothing. Linux makes none; others abort so, too.
	unprompted bool
}

// longDelay is longer than queues and busy hosts hold an answer back.
const longDelay = 3 * time.Second

// own says that nothing in the packet points away from its sender's own stack.
func (m maker) own() bool { return m.known && m.forged < Likely && m.box < Likely }

func (w *wire) maker() maker {
	r := w.resetPacket()
	m := maker{known: true}
	if r.From != evidence.NoLeg && w.form() == refusal {
		w.whoRefused(&m)
		return m
	}
	found := w.forgery()
	stack, step, alive := w.stackOf(r.From), w.ttlStep(), w.livesOn()
	m.marks = append(found.certain, found.odd...)
	m.stack = stack
	away := 0 // facts that say "another machine", of any stack
	if step != 0 {
		away++
		m.boxMarks = append(m.boxMarks, say("its TTL is %d; the peer's other packets came with %d", r.TTL, int(r.TTL)-step))
	}
	if alive != nil {
		away++
		m.boxMarks = append(m.boxMarks, say("the peer went on sending %s after it: its socket lives", ms(alive.at-r.at)))
	}
	if w.wentThrough() {
		away++
		m.boxMarks = append(m.boxMarks, "what it answers had reached the peer's socket all the same, which acknowledged it later")
	}
	a := w.answers()
	// Odd marks are certain only of an open connection of a stack whose beginning was seen, and of an answer only when it answers nothing.
	sure := w.beganAsLinux(r.From) && !w.upTo(r.From, w.rst).fin && w.ended() == 0 && (w.form() == active || a.none())
	switch odd := len(found.odd); {
	case len(found.certain) > 0:
		m.forged = Conclusive
	case stack == linuxStack && odd >= 2 && sure:
		m.forged = Conclusive
	case stack == linuxStack && odd >= 2 && (w.form() == active || !a.crossed && !a.near() && !a.fits):
		m.forged = Likely
	case w.runsAhead():
		m.forged = Likely
		m.marks = append(m.marks, "another reset in its name came right behind it, further ahead than anything that was sent")
	case w.form() == reply && a.near():
		// A device that answers in the peer's place need not write as the peer does.
	case stack == linuxStack && odd == 1, odd > 0 && away > 0, stack != otherStack && odd >= 3:
		m.forged = Likely
	}
	if w.form() == active {
		if m.forged < Likely && (alive != nil || step <= -3 || step >= 3) {
			m.forged = Likely
		}
		if m.forged >= Likely {
			m.marks = append(m.marks, m.boxMarks...)
		}
		return m
	}
	if m.forged >= Likely {
		m.marks = append(m.marks, m.boxMarks...)
		return m
	}
	m.unprompted = a.none()
	if from := w.upTo(r.From, w.rst); m.unprompted && alive == nil && (from.fin || w.ended() > 0) {
		// It had closed, so anything that was sent to it drew a reset, and need not have been captured.
		w.whoReplied(&m, a, away, step)
		return m
	}
	if stack == linuxStack && m.unprompted && a.known && (a.newest < 0 || a.newest > longDelay) || alive != nil && m.unprompted {
		m.forged = Likely
		m.marks = append(append(m.marks, unanswering), m.boxMarks...)
		return m
	}
	w.whoReplied(&m, a, away, step)
	return m
}

// whoReplied is for a reset that has the form of an answer and no mark of a forger: the peer's host, or something that answers like it.
func (w *wire) whoReplied(m *maker, a answers, away, step int) {
	r := w.resetPacket()
	last := w.lastOf(r.To)
	if a.near() {
		m.boxMarks = append(m.boxMarks, say("it came %s after the packet that it answers, and the peer is %s away", ms(a.newest), ms(a.rtt)))
	}
	labelled := r.IPv6 && w.labels(r.From)
	switch {
	case labelled && r.FlowLabel == 0:
		m.boxMarks = append(m.boxMarks, "it bears no flow label, though the peer's packets do: packet filters send none, kernels do")
	case !r.IPv6 && last != nil && last.TOS&^ecn != 0 && r.TOS == 0:
		m.boxMarks = append(m.boxMarks, say("its TOS is 0; a kernel gives back ours, 0x%02x", last.TOS))
	case r.IPv6 && last != nil && last.TOS&^ecn != 0 && r.TOS == 0:
		m.boxMarks = append(m.boxMarks, say("its traffic class is 0; a kernel gives back ours, 0x%02x", last.TOS))
	case labelled:
		m.against = append(m.against, "it bears a flow label, which packet filters do not write")
	case last != nil && last.TOS&^ecn != 0 && r.TOS&^ecn == last.TOS&^ecn:
		m.against = append(m.against, say("its TOS 0x%02x is the one that was sent: a kernel gives it back, packet filters do not", r.TOS))
	}
	if m.stack == linuxStack {
		m.boxMarks = append(m.boxMarks, m.marks...) // its kernel would not have written it so
	}
	switch {
	case len(m.boxMarks) > 0: // never more: a forger on the way who answers as a kernel does looks the same
		m.box = Likely
	case len(m.against) == 0 && m.stack != otherStack && a.newest >= 0:
		m.box = Possible
	}
	if away > 0 || a.near() || len(m.marks) > 0 && m.stack != otherStack {
		m.forged = Possible
	}
	if m.unprompted && len(m.boxMarks) > 0 {
		m.forged = Likely // whoever answers in the peer's place has something to answer
		m.marks = append(append(m.marks, unanswering), m.boxMarks...)
	}
}

const unanswering = "no packet that it could answer came by a round trip before"

// ecn are the two bits of TOS that routers may set (RFC 3168).
const ecn = 3

// whoRefused is for the answer to a SYN. Of its sender nothing else is known than what other connections have shown.
func (w *wire) whoRefused(m *maker) {
	r := w.resetPacket()
	var syn *heard
	tries := 0
	for i := range w.packets[:w.rst] {
		if p := &w.packets[i]; p.From == r.To && p.has(evidence.SYN) {
			syn, tries = p, tries+1
		}
	}
	if text := w.wrongAnswer(); text != "" {
		m.forged, m.marks = Conclusive, []string{text}
	}
	for i := w.rst + 1; i < len(w.packets); i++ {
		p := &w.packets[i]
		if p.From == r.To && p.has(evidence.SYN) {
			break // asked again
		}
		if p.From == r.From && p.has(evidence.SYN) && p.has(evidence.ACK) {
			m.marks = append(m.marks, say("the peer itself accepted the same SYN, %s later", ms(p.at-r.at)))
			m.forged = Conclusive
			return
		}
	}
	if m.forged > Silent {
		return
	}
	m.box = Possible
	if step := w.baseStep(); step != 0 {
		m.boxMarks = append(m.boxMarks, say("its TTL is %d; other connections to this host had %d", r.TTL, int(r.TTL)-step))
	}
	if b := w.base[r.From]; b != nil && syn != nil && tries == 1 && b.RTT >= 2*time.Millisecond && r.at-syn.at < b.RTT/2 {
		m.boxMarks = append(m.boxMarks, say("it came after %s; this host has never answered in less than %s", ms(r.at-syn.at), ms(b.RTT)))
	}
	switch {
	case len(m.boxMarks) > 0:
		m.box = Likely
	case syn != nil && (r.IPv6 && syn.FlowLabel != 0 && r.FlowLabel == 0 || syn.TOS&^ecn != 0 && r.TOS == 0):
		// Of a stack that is not known a label or TOS may be missing for other reasons.
		m.boxMarks = append(m.boxMarks, "it bears neither a flow label nor the TOS of the SYN, as the answers of packet filters")
	case syn != nil && (r.IPv6 && r.FlowLabel != 0 || syn.TOS&^ecn != 0 && r.TOS&^ecn == syn.TOS&^ecn):
		m.box = Silent
		m.against = append(m.against, "it bears a flow label, or the TOS of the SYN, which packet filters do not write")
	}
}
