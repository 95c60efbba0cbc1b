package cause

import (
	"time"

	"whyreset/diagnose/evidence"
)

// form is which path of a TCP stack made a reset, as its header says. Linux makes just these (tcp_v4_send_reset, tcp_send_active_reset),
// and so do filters that reject with a reset (nf_send_reset); stacks that know one form only tell less.
type form uint8

const (
	noReset form = iota
	refusal      // RST+ACK to a SYN: there is nothing to connect to
	reply        // RST without ACK, its sequence number taken from the packet that it answers: no such connection
	active       // RST+ACK with the socket's own numbers: a socket is destroyed
)

// resetPacket is the reset to be explained; nil without one.
func (w *wire) resetPacket() *heard {
	if w == nil || w.rst < 0 {
		return nil
	}
	return &w.packets[w.rst]
}

// form is noReset when packets show no reset to be explained.
func (w *wire) form() form {
	r := w.resetPacket()
	switch {
	case r == nil:
		return noReset
	case !r.has(evidence.ACK):
		return reply
	}
	from, to := w.upTo(r.From, w.rst), w.upTo(r.To, w.rst)
	if from.packets == 0 && (to.syn && !to.answers && to.bytes == 0 || to.packets == 0 && r.Seq == 0) {
		return refusal
	}
	return active
}

// answers tells of the packets that a reply may answer, those that acknowledge its sequence number: how long before it the newest
// came by, and whether one of them came by when it had to for the peer's own answer. known is false when no round trip was seen, or
// not all packets before it were.
type answers struct {
	newest time.Duration // negative: there is none
	fits   bool
	rtt    time.Duration
	// opening is the round trip of the handshake, which waits for no application and no delayed acknowledgement; zero: not seen.
	opening time.Duration
	// longest is what our kernel takes for the longest round trip (RFC 6298 §2); zero: not known.
	longest time.Duration
	known   bool
	data    bool // the newest one that fits, or else the newest, held data
	twice   bool // both the handshake and data have measured a round trip
	// crossed says that another came by right behind the reset, which may have drawn it if frames are out of order.
	crossed bool
}

func (w *wire) answers() answers {
	r := w.resetPacket()
	a := answers{newest: -1, rtt: w.rttTo(r.From), opening: w.openingRTT(r.From), longest: w.longest}
	if s := w.final[r.From]; s != nil {
		a.twice = s.HandshakeRTT > 0 && s.MinRTT > 0
	}
	told, gap := false, false
	from := w.upTo(r.From, w.rst)
	for i := w.rst - 1; i >= 0; i-- {
		p := &w.packets[i]
		if p.From != r.To || !p.ordinary() {
			continue
		}
		told, gap = true, gap || p.Sampled && r.at-p.at <= a.patience()
		if !p.has(evidence.ACK) || p.Ack != r.Seq {
			continue
		}
		if p.Payload > 0 && !p.Repeat && from.acks && !after(p.End(), from.acked) {
			continue // a socket took it
		}
		age := r.at - p.at
		if a.newest < 0 {
			a.newest, a.data = age, p.Payload > 0
		}
		if !a.fits && (age >= 4*a.rtt/5 || a.rtt < measurable) && age <= 3*a.rtt/2+answerSlack {
			a.fits, a.data = true, p.Payload > 0
		}
	}
	for i := w.rst + 1; i < len(w.packets) && w.packets[i].at-r.at <= overtaking; i++ {
		p := &w.packets[i]
		a.crossed = a.crossed || p.From == r.To && p.ordinary() && p.has(evidence.ACK) && p.Ack == r.Seq
	}
	a.known = told && a.rtt > 0 && (a.newest >= 0 || !gap) && (a.fits || !a.crossed) // what is not told may have drawn it
	return a
}

// measurable is the least round trip that parts places: below it lies what stacks and schedulers add.
const measurable = 2 * time.Millisecond

// near says that the answer came sooner than the peer can have made it. The least round trip that was seen may still be a slow one,
// that of a SYN which waited for ARP, so it must have been measured twice, and only an eighth of it counts as too soon.
func (a answers) near() bool {
	return a.known && a.twice && a.opening >= measurable && a.rtt >= measurable && a.newest >= 0 && a.newest < a.rtt/8 && !a.fits
}

// none says that no packet of ours can have drawn the reset: nothing that it would answer came by for much longer than a round trip.
func (a answers) none() bool {
	return a.known && !a.near() && !a.fits && (a.newest < 0 || a.newest > a.patience())
}

// patience is longer than an answer takes, on a busy host and through queues: beyond it none comes any more.
func (a answers) patience() time.Duration {
	if a.rtt < measurable {
		return max(unknownFlight, a.longest)
	}
	return max(2*a.rtt+50*time.Millisecond, a.longest)
}

// livesOn says that the sender of the reset went on as a socket that was never closed: not its TCP made the reset. A few milliseconds
// are left to packets that overtook each other.
func (w *wire) livesOn() (first *heard) {
	r := w.resetPacket()
	for i := w.rst + 1; i < len(w.packets); i++ {
		p := &w.packets[i]
		own := p.ordinary() && !p.has(evidence.SYN) || p.HasTimestamp && !r.HasTimestamp && !r.Cut // a reset with the socket's clock
		if p.From == r.From && own && p.at-r.at > overtaking {
			return p
		}
	}
	return nil
}

const overtaking = 3 * time.Millisecond

// wentThrough says that the peer has what the reset seems to answer: the data that was under way when it came was acknowledged
// afterwards. A host that does not know the connection would not have taken it, and a rule that rejects it would not have let it pass.
func (w *wire) wentThrough() bool {
	r := w.resetPacket()
	from, to := w.upTo(r.From, w.rst), w.upTo(r.To, w.rst)
	last := w.lastOf(r.To)
	if !from.acks || !to.known || last == nil || last.Payload == 0 || !after(to.next, from.acked) {
		return false // it may answer an acknowledgement, behind the data
	}
	for i := w.rst + 1; i < len(w.packets); i++ {
		p := &w.packets[i]
		if p.From == r.From && p.ordinary() && p.has(evidence.ACK) && !after(to.next, p.Ack) {
			return true
		}
	}
	return false
}

// ttlStep is by how much the TTL of the reset lies outside those of its sender's other packets; zero: it does not, or nothing can be
// said. Applications that set their own TTL (BGP: 1 or 255) have theirs only while the socket lives.
func (w *wire) ttlStep() int {
	r := w.resetPacket()
	low, high := uint8(255), uint8(0)
	for i := range w.packets {
		if p := &w.packets[i]; p.From == r.From && p.ordinary() && p.TTL > 0 {
			low, high = min(low, p.TTL), max(high, p.TTL)
		}
	}
	if s := w.final[r.From]; s != nil && s.MinTTL > 0 {
		low, high = min(low, s.MinTTL), max(high, s.MaxTTL)
	}
	return outside(r.TTL, low, high)
}

// baseStep compares with what other connections have shown of the address.
func (w *wire) baseStep() int {
	r := w.resetPacket()
	b := w.base[r.From]
	if b == nil || b.TTL == 0 || b.Age > maxBaseAge {
		return 0
	}
	return outside(r.TTL, b.TTL, b.TTL)
}

// maxBaseAge is how long a path is trusted not to have changed.
const maxBaseAge = 10 * time.Minute

func outside(ttl, low, high uint8) int {
	switch {
	case high == 0 || low <= 1 || high == 255:
		return 0
	case ttl > high:
		return int(ttl) - int(high)
	case ttl < low:
		return int(ttl) - int(low)
	}
	return 0
}

// lastOf is the last ordinary packet of an end before the reset; nil when none is told.
func (w *wire) lastOf(end evidence.Leg) *heard {
	for i := w.rst - 1; i >= 0; i-- {
		if p := &w.packets[i]; p.From == end && p.ordinary() {
			return p
		}
	}
	return nil
}

// unacked is what the receiver of the reset had sent and its sender had not acknowledged, the reset's own word counted; -1 when not
// known.
func (w *wire) unacked() int64 {
	r := w.resetPacket()
	if r == nil {
		return -1
	}
	from, to := w.upTo(r.From, w.rst), w.upTo(r.To, w.rst)
	if !to.known || !from.acks {
		return -1
	}
	acked := from.acked
	if r.has(evidence.ACK) && after(r.Ack, acked) {
		acked = r.Ack
	}
	return int64(max(0, int32(to.next-acked)))
}

// openingAnswered says that the reset answers the third packet of the handshake, and that its sender has said nothing since its
// SYN-ACK.
func (w *wire) openingAnswered() bool {
	r := w.resetPacket()
	if r == nil || w.form() != reply {
		return false
	}
	from := w.upTo(r.From, w.rst)
	if !from.answers || from.bytes > 0 || from.fin || r.Seq != from.isn+1 {
		return false
	}
	if s := w.before[r.From]; s != nil && s.Bytes > 0 {
		return false
	}
	for i := range w.packets[:w.rst] {
		p := &w.packets[i]
		if p.From == r.From && p.ordinary() && !p.has(evidence.SYN) {
			return false
		}
	}
	for i := w.rst + 1; i < len(w.packets); i++ {
		if p := &w.packets[i]; p.From == r.From && !p.ordinary() && p.has(evidence.ACK) {
			return false // there was a socket, and frames are out of order
		}
	}
	way := w.flight(r.From)
	for i := range w.packets[:w.rst] {
		if p := &w.packets[i]; p.From == r.To && p.ordinary() && p.has(evidence.ACK) && p.Ack == r.Seq && r.at-p.at <= way {
			return true // the first, or one that repeats it for a SYN-ACK that was sent again
		}
	}
	return false
}

// allResetsOf says that every reset of an end is told, so that none came before the one to be explained. Of very many the last may be
// left out.
func (w *wire) allResetsOf(end evidence.Leg) bool {
	told := uint32(0)
	for i := range w.packets {
		if p := &w.packets[i]; p.From == end && !p.ordinary() {
			told++
		}
	}
	return w.final[end] != nil && (w.resetsOf(end) <= told || told >= manyResets)
}

// manyResets is fewer than are always told.
const manyResets = 12

// resetBefore says that the end whose reset is to be explained had itself been reset before, in the other's name: it cannot know the
// connection any more.
func (w *wire) resetBefore() bool {
	r := w.resetPacket()
	for i := range w.packets[:w.rst] {
		if p := &w.packets[i]; p.From == r.To && !p.ordinary() {
			return true
		}
	}
	return false
}
