package cause

import "whyreset/diagnose/evidence"

// stack is what a far end's earlier packets say of its TCP. Marks that only Linux's way of writing resets makes into marks ask first.
type stack uint8

const (
	unknownStack stack = iota
	linuxStack
	otherStack
)

// stackOf looks at an end's packets before the reset. Linux sends a SYN-ACK with IP ID 0 and counts on by one from a random number
// afterwards (ip_select_ident), sets DF, and starts from TTL 64. gVisor writes 0 always, Windows counts for the whole host and starts
// from 128. IPv6 has no such number: there it stays unknown.
func (w *wire) stackOf(end evidence.Leg) stack {
	steps, synack := 0, false
	var before *heard
	for i := range w.packets[:max(w.rst, 0)] {
		p := &w.packets[i]
		if p.From != end || !p.ordinary() {
			continue
		}
		if p.TTL > 64 || !p.IPv6 && !p.DF {
			return otherStack
		}
		if p.IPv6 {
			continue
		}
		if p.has(evidence.SYN) && p.has(evidence.ACK) {
			if p.ID != 0 {
				return otherStack
			}
			synack = true
			continue
		}
		if p.ID == 0 && (before == nil || before.ID != 0xffff) {
			return otherStack
		}
		if before != nil && !p.Sampled && before.Segments > 0 {
			switch step := p.ID - before.ID; {
			case step == before.Segments:
				steps++
			case step == 0 || step > lostSteps+before.Segments:
				return otherStack
			}
		}
		before = p
	}
	if steps > 0 || synack && before != nil {
		return linuxStack
	}
	return unknownStack
}

// beganAsLinux says that the end's SYN-ACK was Linux's, too: later IDs that count on by one are not Linux's alone.
func (w *wire) beganAsLinux(end evidence.Leg) bool {
	for i := range w.packets {
		if p := &w.packets[i]; p.From == end && p.ordinary() && p.has(evidence.SYN) {
			return p.has(evidence.ACK) && p.ID == 0
		}
	}
	return false
}

// lostSteps is by how much a count may jump because packets were lost, or are not told.
const lostSteps = 256

// labels says that an IPv6 end labels its flows: a reset of it without a label was not made by its own socket.
func (w *wire) labels(end evidence.Leg) bool {
	for i := range w.packets {
		if p := &w.packets[i]; p.From == end && p.ordinary() && p.IPv6 && p.FlowLabel != 0 {
			return true
		}
	}
	return false
}
