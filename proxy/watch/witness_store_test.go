package watch

import (
	"testing"
	"time"
)

func TestStoreForgetsTheOldest(t *testing.T) {
	var s store
	s.drained(0, 1)
	key := func(n int) end { return end{port: uint16(n)} }
	const more = 10
	for i := range maxHeard + more { // ports are used twice by the last ones
		s.add(event{at: time.Duration(i), from: key(i % maxHeard)})
	}
	s.drained(0, maxHeard+more)
	count := func(port int, from, to time.Duration) (n int) {
		s.each(addresses{from: key(port)}, from, to, func(*event) { n++ })
		return n
	}
	const all = 2 * maxHeard
	if got := count(0, 0, all); got != 1 {
		t.Errorf("got %d events where the older one is forgotten, want 1", got)
	}
	if got := count(more, 0, all); got != 1 {
		t.Errorf("got %d events of the oldest that is known, want 1", got)
	}
	if got := count(more, 0, more-1); got != 0 {
		t.Errorf("got %d events before the first, want 0", got)
	}
	if got := s.missing(more, all); got != 0 {
		t.Errorf("got %d missing of what is all known, want 0", got)
	}
	if got := s.missing(more-1, all); got == 0 {
		t.Error("got 0 missing of a time that is partly forgotten")
	}
}

func TestStoreKnowsItsGaps(t *testing.T) {
	var s store
	s.drained(0, 10)
	s.drained(5, 20)
	s.drained(0, 30)
	s.drained(7, 40)
	for _, test := range []struct {
		from, to time.Duration
		want     uint64
	}{{0, 9, 0}, {0, 10, 5}, {21, 29, 0}, {15, 35, 12}, {41, 50, 0}} {
		if got := s.missing(test.from, test.to); got != test.want {
			t.Errorf("got %d missing from %d to %d, want %d", got, test.from, test.to, test.want)
		}
	}
	for i := range maxGaps {
		s.drained(1, time.Duration(50+i))
	}
	if got := s.missing(0, 1000); got != 12+maxGaps || s.lost != got {
		t.Errorf("got %d missing and %d lost in all, want %d", got, s.lost, 12+maxGaps)
	}
	if got := s.missing(20, 29); got == 0 {
		t.Error("got 0 missing of a time between gaps, want those of gaps drawn together")
	}
}

// BenchmarkHear is what one reset costs that anybody on this machine makes or accepts.
func BenchmarkHear(b *testing.B) {
	var s store
	b.ReportAllocs()
	e := event{sent: true, reason: "TCP_STATE", process: "nginx"}
	for b.Loop() {
		e.at++
		e.sequence += 1_000_003
		e.from.port++
		e.to.addr[15] = byte(e.sequence)
		s.add(e)
	}
}
