package watch

import "time"

// maxHeard bounds what is remembered: some 10 MB, once a busy host has filled it; 6 s at 5,000 resets/s, each told twice.
const maxHeard = 1 << 16

// maxGaps bounds the times remembered at which resets went unheard.
const maxGaps = 64

// addresses are those of one reset.
type addresses struct{ from, to end }

// store remembers the last events, found by their addresses, or by the sequence number where those are rewritten on the way. Zero
// is an empty one.
//
// Events are numbered from 1 and lie at number % maxHeard, so a number is valid as long as it is not further back than
// maxHeard: links to what has been overwritten need no undoing.
type store struct {
	events []event // grows up to maxHeard
	count  uint64  // the number of the last one
	newest map[addresses]uint64
	sent   map[uint32]uint64 // the newest one sent, by its sequence number

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
	if s.newest == nil {
		s.newest, s.sent = map[addresses]uint64{}, map[uint32]uint64{}
	}
	key := addresses{e.from, e.to}
	s.count++
	if len(s.events) < maxHeard {
		s.events = append(s.events, event{})
	}
	slot := s.slot(s.count)
	if s.count > maxHeard {
		was := addresses{slot.from, slot.to}
		if s.newest[was] == s.count-maxHeard {
			delete(s.newest, was)
		}
		if slot.sent && s.sent[slot.sequence] == s.count-maxHeard {
			delete(s.sent, slot.sequence)
		}
		s.forgotten = slot.at
	}
	*slot = e
	slot.older = s.newest[key]
	s.newest[key] = s.count
	if slot.sent && slot.sequence != 0 {
		slot.olderSent = s.sent[slot.sequence]
		s.sent[slot.sequence] = s.count
	}
}

func (s *store) slot(number uint64) *event { return &s.events[(number-1)%maxHeard] }

// each calls do for the events of exactly these addresses within a time, the latest first.
func (s *store) each(key addresses, from, to time.Duration, do func(*event)) {
	s.walk(s.newest[key], func(e *event) uint64 { return e.older }, from, to, do)
}

// eachSent calls do for the events of resets sent with a sequence number, likewise.
func (s *store) eachSent(sequence uint32, from, to time.Duration, do func(*event)) {
	s.walk(s.sent[sequence], func(e *event) uint64 { return e.olderSent }, from, to, do)
}

func (s *store) walk(newest uint64, older func(*event) uint64, from, to time.Duration, do func(*event)) {
	for n := newest; n != 0 && n+maxHeard > s.count; {
		e := s.slot(n)
		if e.at < from {
			return // one reset is told after the other, but for those that two processors make at once
		}
		if e.at <= to {
			do(e)
		}
		n = older(e)
	}
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
