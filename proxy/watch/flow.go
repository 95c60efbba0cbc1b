package watch

import (
	"net/netip"
	"slices"
	"time"

	"whyreset/diagnose/evidence"
)

// Directions of a leg's packets, as evidence.Account numbers them.
const (
	fromFar = 0
	fromUs  = 1
)

// How many packets are kept of a leg. The rules look at the last four of the far end; of ours they want those that a reset may
// have answered, and a sender has several on their way.
const (
	keepOpening = 3 // the handshake
	keepLast    = 6 // of each direction
	keepAfter   = 16
	keepICMP    = 4
)

// key is a four-tuple as seen from our end of it. IPv4 addresses are mapped into IPv6.
type key struct {
	own, far         [16]byte
	ownPort, farPort uint16
}

func keyOf(own, far netip.AddrPort) key {
	return key{own.Addr().As16(), far.Addr().As16(), own.Port(), far.Port()}
}

// flow is one leg: what was seen between our end and the far one, from SYN to the end. Times are those of the watch's clock.
// Its size is bounded, however long it lives.
type flow struct {
	key      key
	first    time.Duration
	last     time.Duration
	missed   bool // its beginning was not seen, or not all of it
	loopback bool // seen on the loopback device; else on any other
	account  evidence.Account
	isn      uint32 // of the far end, if it sent the SYN; see hasISN
	hasISN   bool
	device   [2]int32
	farTTL   uint8 // of the far end's last packet that was no RST
	base     shown // what the far end's address had shown before

	opening  [keepOpening]note
	opened   int
	recent   [2]recent
	packets  [2]uint32
	reset    *around
	icmp     []icmpNote
	reopener *arrival // a SYN of the far end, on a connection that lives: it may become another one, or be a stray

	over         bool  // RST, or FIN both ways
	prev, next   *flow // of the same four-tuple: before and after it
	older, newer *flow // in its queue
	queue        *queue
}

// note is a packet that is kept.
type note struct {
	at     time.Duration
	number uint32 // of its direction's packets: a gap says that some are not told
	device int32
	evidence.Packet
}

// around is what surrounds the first reset.
type around struct {
	before [2]evidence.Stream // the accounts up to it
	notes  []note             // the last packets before it, it, and the first ones after it
	after  int                // how many more belong to notes
}

// recent holds the last notes of one direction.
type recent struct {
	notes [keepLast]note
	n     uint32 // ever pushed
}

func (r *recent) push(n *note) {
	r.notes[r.n%keepLast] = *n
	r.n++
}

// appendTo appends the notes in their order.
func (r *recent) appendTo(to []note) []note {
	for i := r.n - min(r.n, keepLast); i < r.n; i++ {
		to = append(to, r.notes[i%keepLast])
	}
	return to
}

// byTime is the order of packets of both directions.
func byTime(a, b note) int { return int(a.at - b.at) }

// lastNotes are the newest notes of both directions in order of time.
func (f *flow) lastNotes() []note {
	all := f.recent[fromUs].appendTo(f.recent[fromFar].appendTo(make([]note, 0, 2*keepLast+keepAfter)))
	slices.SortStableFunc(all, byTime)
	return all
}

// add enters a packet.
func (f *flow) add(by int, n *note) {
	if f.isCopy(by, n) {
		return
	}
	f.last = n.at
	f.packets[by]++
	n.number = f.packets[by]
	reset := n.Flags&evidence.RST != 0
	if reset && f.reset == nil {
		f.reset = &around{before: f.account.Streams, notes: f.lastNotes(), after: keepAfter}
		f.recent = [2]recent{}
	}
	f.account.Add(by, n.at, &n.Packet)
	if by == fromFar && !reset {
		f.farTTL = n.TTL
		if n.Flags&evidence.SYN != 0 && !f.hasISN {
			f.isn, f.hasISN = n.Seq, true
		}
	}
	s := &f.account.Streams
	f.over = f.over || reset || s[fromFar].FIN && s[fromUs].FIN
	switch {
	case f.opened < keepOpening && f.reset == nil:
		f.opening[f.opened] = *n
		f.opened++
	case f.reset != nil && f.reset.after > 0:
		f.reset.notes = append(f.reset.notes, *n)
		f.reset.after--
	default:
		f.recent[by].push(n)
	}
}

// isCopy says that the packet was just seen at another device of this host: a bridge and its port, a bond and its members.
func (f *flow) isCopy(by int, n *note) bool {
	if n.device == f.device[by] {
		return false
	}
	r := &f.recent[by]
	for i := r.n - min(r.n, keepLast); i < r.n; i++ {
		if r.notes[i%keepLast].sameAs(n) {
			return true
		}
	}
	for i := range f.opening[:f.opened] {
		if f.opening[i].sameAs(n) {
			return true
		}
	}
	for i := 0; f.reset != nil && i < len(f.reset.notes); i++ {
		if f.reset.notes[i].sameAs(n) {
			return true
		}
	}
	f.device[by] = n.device
	return false
}

// sameAs: between two devices of one host a packet takes microseconds.
func (n *note) sameAs(other *note) bool {
	return n.device != other.device && n.Seq == other.Seq && n.From == other.From && n.Ack == other.Ack && n.Flags == other.Flags &&
		n.Payload == other.Payload && n.ID == other.ID && n.TSVal == other.TSVal && n.TTL == other.TTL && other.at-n.at < 10*time.Millisecond
}
