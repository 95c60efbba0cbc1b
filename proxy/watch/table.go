package watch

import (
	"time"

	"whyreset/diagnose/evidence"
)

// Bounds of the table. A flow takes some 2 kB.
const (
	maxFlows = 32 << 10
	keepOver = time.Minute     // flows that are over, while they are few: their connection may still deliver its last bytes
	fewOver  = 4 << 10         // beyond, those over are kept for keepSome
	keepSome = 3 * time.Second // as long as the longest wait for a final verdict, and some
)

// table holds the flows by four-tuple.
type table struct {
	flows     map[key]*flow // the newest of each four-tuple
	live      queue
	ended     queue
	most      int           // flows
	crowded   time.Duration // when a flow was last forgotten for want of room; zero: never
	free      *flow         // to be used again, linked by older
	baselines baselines
}

func newTable() table {
	return table{flows: map[key]*flow{}, most: maxFlows, baselines: baselines{all: map[place]shown{}}}
}

// queue holds flows in order of their last packet.
type queue struct {
	oldest, newest *flow
	n              int
}

func (q *queue) push(f *flow) {
	f.queue, f.older, f.newer = q, q.newest, nil
	if q.newest != nil {
		q.newest.newer = f
	} else {
		q.oldest = f
	}
	q.newest = f
	q.n++
}

func (f *flow) leave() {
	q := f.queue
	if f.older != nil {
		f.older.newer = f.newer
	} else {
		q.oldest = f.newer
	}
	if f.newer != nil {
		f.newer.older = f.older
	} else {
		q.newest = f.older
	}
	q.n--
	f.queue, f.older, f.newer = nil, nil, nil
}

// arrival is a packet, on its way to its flow.
type arrival struct {
	note
	by       int
	loopback bool
	partly   bool // not all packets between these ends can be seen
}

// add gives the packet to the flow of that four-tuple, or begins one.
func (t *table) add(k key, a *arrival) {
	f := t.flows[k]
	switch {
	case f == nil:
		f = t.begin(k, a)
	case f.loopback != a.loopback:
		// The two legs of a connection have the same four-tuple, turned round, and one of them is on this host. A SYN on a wire
		// is where that leg begins; the leg on the loopback device has the other key.
		if a.loopback && !f.over || a.Flags&(evidence.SYN|evidence.ACK) != evidence.SYN {
			return
		}
		f = t.begin(k, a)
	case f.startsAnew(a):
		reopener := f.reopener
		f.reopener = nil
		f = t.begin(k, a)
		if reopener != nil && a.by == fromUs {
			f.first, f.missed = reopener.at, reopener.partly
			f.add(reopener.by, &reopener.note)
		}
	}
	before := f.account.Streams[fromFar].HandshakeRTT
	f.add(a.by, &a.note)
	if rtt := f.account.Streams[fromFar].HandshakeRTT; rtt != before {
		t.baselines.learn(f, rtt)
	}
	if f.queue == &t.live && f.over {
		t.baselines.learn(f, 0)
	}
	f.leave()
	if f.over {
		t.ended.push(f)
	} else {
		t.live.push(f)
	}
}

// startsAnew says whether the packet begins another connection of the same four-tuple. Our own kernel sends a SYN only for a new
// one. The far end's, while the connection lives, may be a stray or forged: it is a new one when our kernel answers just this SYN.
func (f *flow) startsAnew(a *arrival) bool {
	switch a.Flags & (evidence.SYN | evidence.ACK | evidence.RST) {
	case evidence.SYN:
		if a.by == fromUs {
			s := &f.account.Streams[fromUs]
			return f.over || !s.HasNext || s.Next != a.Seq+1 || s.Bytes > 0 // else it is sent again
		}
		if f.hasISN && f.isn == a.Seq {
			return false
		}
		if f.over {
			return true
		}
		stray := *a
		f.reopener = &stray
	case evidence.SYN | evidence.ACK:
		return a.by == fromUs && f.reopener != nil && a.Ack == f.reopener.Seq+1
	}
	return false
}

// begin makes a flow, and room for it.
func (t *table) begin(k key, a *arrival) *flow {
	t.makeRoom(a.at)
	f := t.free
	if f != nil {
		t.free = f.older
	} else {
		f = new(flow)
	}
	*f = flow{key: k, first: a.at, last: a.at, loopback: a.loopback, missed: a.partly || a.Flags&evidence.SYN == 0}
	f.base = t.baselines.all[f.place()]
	if old := t.flows[k]; old != nil {
		f.prev, old.next = old, f
		old.leave()
		t.ended.push(old)
	}
	t.flows[k] = f
	t.live.push(f)
	return f
}

// makeRoom forgets flows that are over and, when there is no room at all, the one that was silent longest.
func (t *table) makeRoom(now time.Duration) {
	for f := t.ended.oldest; f != nil; f = t.ended.oldest {
		age := now - f.last
		if age <= keepSome || age <= keepOver && t.ended.n <= fewOver {
			break
		}
		if age <= keepOver {
			t.crowded = now
		}
		t.forget(f)
	}
	if t.live.n+t.ended.n < t.most {
		return
	}
	t.crowded = now
	if f := t.ended.oldest; f != nil {
		t.forget(f)
		return
	}
	t.forget(t.live.oldest)
}

func (t *table) forget(f *flow) {
	f.leave()
	if f.prev != nil {
		f.prev.next = nil
		f.prev = nil
	}
	if f.next != nil {
		f.next.prev = nil
		f.next = nil
	} else if t.flows[f.key] == f {
		delete(t.flows, f.key)
	}
	f.reset, f.icmp, f.reopener = nil, nil, nil
	f.older, t.free = t.free, f
}

// find is the flow that was this leg of a connection: of those with its four-tuple the last that began before by, and not before
// from.
func (t *table) find(k key, from, by time.Duration) *flow {
	for f := t.flows[k]; f != nil; f = f.prev {
		if f.first <= by && f.first >= from {
			return f
		}
	}
	return nil
}
