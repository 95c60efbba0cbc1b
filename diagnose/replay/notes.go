package replay

import (
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/diagnose/packet"
)

// notes are what is kept of a flow for its evidence: the first packets, the last ones, those around its first reset, and for each half
// an account of all. Their size is bounded, however long the connection lives.
//
// Halves take the place of the far ends here: From and To are half numbers, to be exchanged when it is known who the client is.
type notes struct {
	opening []note // the first packets
	last    ring   // the last ones before the first reset; behind the packets in after, if there was one
	around  []note // the last packets before the first reset, it, and the first ones after it
	after   int    // how many more packets belong to around
	clock   time.Duration
	account evidence.Account
	atReset *[2]evidence.Stream // the streams before the first reset
	more    [2]watch
	base    [2]baseline
}

type note struct {
	at     time.Duration
	number uint32 // of its half's packets: a gap says that some are not told
	evidence.Packet
}

// watch is what only the reading of one half needs.
type watch struct {
	packets  uint32 // copies too
	hop      int16  // by how much the TTL of a copy differs
	hopKnown bool
}

// How many packets are kept. The rules look at some four of each direction before a reset; a person who draws the ladder wants to see
// what led to it.
const (
	keepOpening = 4
	keepLast    = 24
	keepAfter   = 16
)

// ring holds the last keepLast notes. It grows as they come: most connections have few packets.
type ring struct {
	notes []note
	next  int // when full: where the oldest stands
}

func (r *ring) push(n note) {
	if len(r.notes) < keepLast {
		if len(r.notes) == cap(r.notes) {
			grown := make([]note, len(r.notes), min(max(4, 2*len(r.notes)), keepLast))
			copy(grown, r.notes)
			r.notes = grown
		}
		r.notes = append(r.notes, n)
		return
	}
	r.notes[r.next] = n
	r.next = (r.next + 1) % keepLast
}

// at gives the i-th note from the end; 0 is the newest.
func (r *ring) at(i int) *note {
	return &r.notes[(r.next-1-i+2*len(r.notes))%len(r.notes)]
}

// appendTo appends the notes in their order.
func (r *ring) appendTo(to []note) []note {
	return append(append(to, r.notes[r.next:]...), r.notes[:r.next]...)
}

// add takes down a segment that half by sent. first says that it is the first reset.
func (n *notes) add(by int8, p *Packet, start time.Time, first bool) {
	// A capture's clock may be set back, and frames of two devices may be out of order: order is that of the frames.
	if !p.At.IsZero() && !start.IsZero() {
		n.clock = max(n.clock, p.At.Sub(start))
	}
	w := &n.more[by]
	w.packets++
	one := note{at: n.clock, number: w.packets, Packet: packetEvidence(by, p)}
	one.Copy = n.isCopy(by, &one)
	if first {
		n.atReset = new([2]evidence.Stream)
		*n.atReset = n.account.Streams
		n.around = n.last.appendTo(make([]note, 0, len(n.last.notes)+4))
		n.last = ring{}
		n.after = keepAfter
	}
	if !one.Copy {
		n.account.Add(int(by), one.at, &one.Packet)
	}
	switch {
	case len(n.opening) < keepOpening && n.atReset == nil:
		n.opening = append(n.opening, one)
	case n.after > 0:
		n.around = append(n.around, one)
		n.after--
	default:
		n.last.push(one)
	}
}

func packetEvidence(by int8, p *Packet) evidence.Packet {
	e := packet.Evidence(&p.IP, &p.TCP)
	e.From, e.To, e.Frame = evidence.Leg(by), evidence.Leg(1-by), uint64(p.Frame)
	return e
}

// lookBack is how many packets a copy may come after its original.
const lookBack = 12

// isCopy says whether the packet is one that was met before at another place of the path, or at another device of the same host. The
// IP ID tells, or, where there is none, another TTL: with the same TTL it may as well be a retransmission. Resets of one kind look all
// the same without an ID, and forgers send them in numbers with rising TTLs, so the TTL of a reset must differ by as much as that of
// another packet's copy did.
func (n *notes) isCopy(by int8, one *note) bool {
	w := &n.more[by]
	for i := range min(len(n.last.notes), lookBack) {
		if n.sameAs(w, n.last.at(i), one) {
			return true
		}
	}
	for i := range min(len(n.around), lookBack) {
		if n.sameAs(w, &n.around[len(n.around)-1-i], one) {
			return true
		}
	}
	for i := range n.opening {
		if n.sameAs(w, &n.opening[i], one) {
			return true
		}
	}
	return false
}

func (n *notes) sameAs(w *watch, old, one *note) bool {
	if old.Seq != one.Seq || old.From != one.From || old.Ack != one.Ack || old.Flags != one.Flags || old.Payload != one.Payload ||
		old.ID != one.ID || old.Window != one.Window || old.TSVal != one.TSVal || old.FlowLabel != one.FlowLabel || one.at-old.at > time.Second {
		return false
	}
	hop := int16(one.TTL) - int16(old.TTL)
	switch {
	case one.ID != 0:
	case hop == 0, one.Flags&evidence.RST != 0 && (!w.hopKnown || hop != w.hop):
		return false
	}
	if hop != 0 && !old.Copy {
		w.hop, w.hopKnown = hop, true
	}
	return true
}
