package telemetry

import "sync"

// class is which records go first.
type class uint8

const (
	harmful  class = iota // harmful endings, and all notices
	ordinary              // everything else
	classes
)

// waiting is one record on its way. It is pooled; its memory counts, used or not.
type waiting struct {
	class class
	data  []byte
}

var pool = sync.Pool{New: func() any { return &waiting{data: make([]byte, 0, 3<<10)} }}

func newWaiting(c class) *waiting {
	w := pool.Get().(*waiting)
	w.class, w.data = c, w.data[:0]
	return w
}

// ring is a queue that grows, both of whose ends can be taken from.
type ring struct {
	slots   []*waiting
	head, n int
}

func (r *ring) push(w *waiting) {
	if r.n == len(r.slots) {
		grown := make([]*waiting, max(64, 2*r.n))
		for i := range r.n {
			grown[i] = r.slots[(r.head+i)%len(r.slots)]
		}
		r.slots, r.head = grown, 0
	}
	r.slots[(r.head+r.n)%len(r.slots)] = w
	r.n++
}

func (r *ring) oldest() *waiting {
	w := r.slots[r.head]
	r.slots[r.head] = nil
	r.head, r.n = (r.head+1)%len(r.slots), r.n-1
	return w
}

func (r *ring) newest() *waiting {
	r.n--
	i := (r.head + r.n) % len(r.slots)
	w := r.slots[i]
	r.slots[i] = nil
	return w
}
