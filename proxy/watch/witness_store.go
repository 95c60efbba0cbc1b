package watch

import (
	"hash/maphash"
	"time"
)

// maxHeard bounds what is remembered: some 9 MB, once a busy host has filled it; 6 s at 5,000 resets/s, each told twice.
const maxHeard = 1 << 16

// maxGaps bounds the times remembered at which resets went unheard.
const maxGaps = 64

// addresses are those of one reset.
type addresses struct{ from, to end }

// store remembers the last events, found by their addresses, or by the sequence number where those are rewritten on the way. Zero
// is an empty one.
//
// Events are numbered from 1 and lie at number % maxHeard, so a number is valid as long as it is not further back than
// maxHeard: what has been overwritten need not be taken out of anything. Each is in two chains, those of its hashes, from the
// newest to the oldest.
type store struct {
	events []event // grows up to maxHeard
	count  uint64  // the number of the last one
	seed   maphash.Seed
	byEnds []uint64 // the newest one's number, by hash
	bySent []uint64 // likewise of those sent

	lost      uint64        // never heard, in all
	gaps      []gap         // when that was, the last maxGaps
	drainedAt time.Duration // when the kernel's buffer was empty
	forgotten time.Duration // time of the last event overwritten
}

// A gap is a time in which resets went unheard.
type gap struct {
	from, to time.Duration
	lost     uint64
}

func (s *store) add(e event) {
	if s.byEnds == nil {
		s.seed, s.byEnds, s.bySent = maphash.MakeSeed(), make([]uint64, maxHeard), make([]uint64, maxHeard)
	}
	s.count++
	if len(s.events) < maxHeard {
		s.events = append(s.events, event{})
	}
	slot := s.slot(s.count)
	if s.count > maxHeard {
		s.forgotten = slot.at
	}
	*slot = e
	head := s.headOf(addresses{e.from, e.to})
	slot.older, *head = *head, s.count
	if e.sent {
		head := &s.bySent[e.sequence%maxHeard]
		slot.olderSent, *head = *head, s.count
	}
}

func (s *store) slot(number uint64) *event { return &s.events[(number-1)%maxHeard] }

func (s *store) headOf(key addresses) *uint64 {
	return &s.byEnds[maphash.Comparable(s.seed, key)%maxHeard]
}

// each calls do for the events of exactly these addresses within a time, the latest first.
func (s *store) each(key addresses, from, to time.Duration, do func(*event)) {
	if s.count == 0 {
		return
	}
	for n := *s.headOf(key); s.has(n, from); n = s.slot(n).older {
		if e := s.slot(n); e.at <= to && e.from == key.from && e.to == key.to {
			do(e)
		}
	}
}

// eachSent calls do for the events of resets sent with a sequence number, likewise.
func (s *store) eachSent(sequence uint32, from, to time.Duration, do func(*event)) {
	if s.count == 0 {
		return
	}
	for n := s.bySent[sequence%maxHeard]; s.has(n, from); n = s.slot(n).olderSent {
		if e := s.slot(n); e.at <= to && e.sequence == sequence {
			do(e)
		}
	}
}

// has says whether the event of that number is there and not before from: one is heard after the other, but for those that two
// processors make at once.
func (s *store) has(number uint64, from time.Duration) bool {
	return number != 0 && number+maxHeard > s.count && s.slot(number).at >= from
}

// drained notes that all there was to hear was heard, but for lost.
func (s *store) drained(lost uint64, now time.Duration) {
	if lost != 0 {
		s.lost += lost
		if len(s.gaps) == maxGaps {
			s.gaps[1].from, s.gaps[1].lost = s.gaps[0].from, s.gaps[0].lost+s.gaps[1].lost
			s.gaps = append(s.gaps[:0], s.gaps[1:]...)
		}
		s.gaps = append(s.gaps, gap{from: s.drainedAt, to: now, lost: lost})
	}
	s.drainedAt = now
}

// missing is how many resets of a time were not heard, or are forgotten: zero is certain, another number a guess.
func (s *store) missing(from, to time.Duration) (n uint64) {
	for _, g := range s.gaps {
		if g.to >= from && g.from <= to {
			n += g.lost
		}
	}
	if s.count > maxHeard && s.forgotten >= from {
		n += s.count - maxHeard
	}
	return n
}
