package relay

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"whyreset/proxy/kernel"
)

// loop is one event loop. All its fields but the last ones, from orders on, are its goroutine's own.
type loop struct {
	relay     *Relay
	poll      *kernel.Poll
	listeners []*listener
	pairs     []*pair  // by index; slots are used again
	free      []uint32 // indexes of unused slots
	again     []*pair  // used up their turn, go on after the others
	spare     []*pair  // the other buffer of again
	timers    timers
	starts    []waitingStart // by the time at which they are due
	pipes     pipes
	rests     [][]byte // idle buffers for what a socket did not take
	now       int64    // one time for all that is found in a batch: it has no order
	exit      bool
	last      [2]snapshot // of the pair that is just ending
	answering []wish      // the other buffer of asked
	batch     [256]kernel.Event
	buffer    [copyBuffer]byte

	orders  atomic.Uint32
	asking  sync.Mutex
	asked   []wish // by other loops
	mu      sync.Mutex
	ended   []Ended   // for the reporter
	started []Started // likewise
	notices []Notice  // likewise
}

// What the relay orders a loop to do; a set of bits.
const (
	orderStopAccepting uint32 = 1 << iota
	orderAbort
	orderExit
	orderIdle  // the idle timeout has changed
	orderAsked // another loop wants something
)

// Sizes of a turn. A read that fills copyBuffer is bulk, worth a pipe. turn bounds how much one flow
// moves before the others have theirs; its last step may be a whole pipe.
const (
	copyBuffer = 32 << 10
	turn       = 256 << 10
)

var clockStart = time.Now()

// clock is the relay's clock in ns: monotonic, never zero.
func clock() int64 { return int64(time.Since(clockStart)) + 1 }

func clockAt(t time.Time) int64 { return int64(t.Sub(clockStart)) + 1 }

func newLoop(r *Relay, pipeLimit int) (*loop, error) {
	poll, err := kernel.NewPoll()
	if err != nil {
		return nil, err
	}
	return &loop{relay: r, poll: poll, pipes: pipes{limit: pipeLimit}}, nil
}

// close frees what the loop held; its goroutine has ended, or was never started.
func (l *loop) close() {
	for _, ln := range l.listeners {
		if ln.fd >= 0 {
			kernel.Close(ln.fd)
			ln.fd = -1
		}
	}
	l.pipes.close()
	l.poll.Close()
}

func (l *loop) run() {
	defer l.relay.running.Done()
	l.now = clock()
	for !l.exit {
		l.round(l.patience())
	}
}

// round waits for events, for so many ms at most, and does what is to be done.
func (l *loop) round(patience int) {
	due := len(l.again)
	n := l.poll.Wait(l.batch[:], patience)
	l.now = clock()
	for i := range l.batch[:n] {
		l.dispatch(&l.batch[i])
	}
	l.nextTurns(due)
	l.expire()
	l.obey()
}

// patience is how long to wait for events, in ms; -1 for ever.
func (l *loop) patience() int {
	if len(l.again) > 0 {
		return 0
	}
	at, ok := l.timers.next()
	if len(l.starts) > 0 && (!ok || l.starts[0].at < at) {
		at, ok = l.starts[0].at, true
	}
	for _, ln := range l.listeners {
		if ln.resume != 0 && (!ok || ln.resume < at) {
			at, ok = ln.resume, true
		}
	}
	if !ok {
		return -1
	}
	return int(min(max(0, (at-l.now+999_999)/1_000_000), math.MaxInt32)) // epoll_wait(2) takes an int
}

// Tokens: the generation, the index and the leg of a pair. Listeners have generation 0, pairs never.
func token(p *pair, legIndex int) uint64 {
	return uint64(p.gen)<<33 | uint64(p.index)<<1 | uint64(legIndex)
}

func listenerToken(i int) uint64 { return uint64(i) << 1 }

const lastGen = 1<<31 - 2 // WakeToken has the one above

func (l *loop) dispatch(e *kernel.Event) {
	t := e.Token()
	if t == kernel.WakeToken {
		l.poll.Woken()
		return
	}
	index, gen := uint32(t>>1), uint32(t>>33)
	if gen == 0 {
		if ln := l.listeners[index]; ln.fd >= 0 {
			l.accept(ln)
		}
		return
	}
	// The generation keeps out events of a pair that ended earlier in this batch and whose slot, and
	// perhaps descriptor, is already another's.
	if p := l.pairs[index]; p.gen == gen && p.stage != free {
		l.event(p, int(t&1), e.Mask())
	}
}

// event takes in what epoll says of one leg and moves what can move.
func (l *loop) event(p *pair, i int, mask uint32) {
	if p.stage == returned {
		if mask&(kernel.PollRdHup|kernel.PollHup|kernel.PollErr) != 0 {
			l.gone(p, false)
		}
		return
	}
	if p.stage == connecting && i == up {
		l.connected(p, mask)
		return
	}
	if p.stage == connecting && mask&kernel.PollHup != 0 && l.serverIsThere(p) {
		l.established(p)
	}
	l.observe(p, i, mask)
	if p.stage == connecting || p.stage == barred {
		if p.legs[i].failed {
			l.finish(p) // the client is gone: there is nobody to connect for
		}
		return
	}
	if !p.queued {
		l.advance(p)
	}
}

// advance moves bytes both ways and then looks whether anything is over.
func (l *loop) advance(p *pair) {
	l.pump(p, up)
	l.pump(p, down)
	l.settle(p)
}

// nextTurns goes on with those that had used up their turn in an earlier round, the first ones in the list.
func (l *loop) nextTurns(due int) {
	if due == 0 {
		return
	}
	turns := l.again
	l.again = append(l.spare[:0], turns[due:]...)
	for _, p := range turns[:due] {
		if p.queued { // else it ended meanwhile
			p.queued = false
			l.advance(p)
		}
	}
	clear(turns)
	l.spare = turns
}

func (l *loop) queue(p *pair) {
	if !p.queued {
		p.queued = true
		l.again = append(l.again, p)
	}
}

// expire serves the deadlines that have come.
func (l *loop) expire() {
	for _, ln := range l.listeners {
		if ln.resume != 0 && ln.resume <= l.now {
			l.resume(ln)
		}
	}
	l.tellStarts()
	for {
		at, ok := l.timers.next()
		if !ok || at > l.now {
			return
		}
		p := l.timers[0]
		l.timers.stop(p)
		switch p.stage {
		case returned:
			l.gone(p, true)
		case barred:
			l.dialAt(p, p.legs[up].remote)
		case connecting:
			l.connectTimedOut(p)
		case open:
			l.idleExpired(p)
		case flushing, closing:
			l.advance(p)
		}
	}
}

// obey carries out the relay's orders.
func (l *loop) obey() {
	o := l.orders.Swap(0)
	if o&orderIdle != 0 {
		l.armIdle()
	}
	if o&orderAsked != 0 {
		l.answer()
	}
	if o&orderStopAccepting != 0 {
		l.stopAccepting()
	}
	if o&orderAbort != 0 {
		l.abortAll()
	}
	l.exit = o&orderExit != 0
}

// newPair takes a free slot.
func (l *loop) newPair() *pair {
	if len(l.free) == 0 {
		// In chunks: fewer objects for the collector, and a slot's address never changes.
		chunk := make([]pair, 64)
		for i := range chunk {
			l.free = append(l.free, uint32(len(l.pairs)+len(chunk)-1-i))
		}
		for i := range chunk {
			l.pairs = append(l.pairs, &chunk[i])
		}
	}
	index := l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	p := l.pairs[index]
	gen := p.gen + 1
	if gen > lastGen {
		gen = 1
	}
	*p = pair{index: index, gen: gen, timer: -1, number: l.relay.sequence.Add(1), accepted: l.now, active: l.now}
	p.legs[down].fd, p.legs[up].fd = -1, -1
	l.relay.active.Add(1)
	return p
}
