package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"whyreset/diagnose/evidence"
)

// Witness hears from this machine's kernel of every reset that a TCP stack here makes or accepts, in whatever network
// namespace: tcp:tcp_send_reset and tcp:tcp_receive_reset. Where the peer lives on the same kernel (container, pod, sidecar)
// that is the exact reason and, where a call of a process made the reset, the process.
//
//	w, err := watch.OpenWitness()
//	if err != nil {
//		witness = watch.Absent(err.Error()) // such as "not root"
//	}
//
// It costs a connection that ends without a reset nothing but a look-up. What it hears is kept for a while, bounded; what
// it had to forget, or never got, is told in the coverage.
//
// Privileges are needed by OpenWitness alone.
type Witness struct {
	way  string    // how it hears: "raw tracepoints" or "tracefs"
	own  uint32    // the inode of this process's network namespace
	zero time.Time // when CLOCK_MONOTONIC, by which the kernel tells times, was zero

	mu     sync.Mutex
	source source // what the kernel has noted since the last drain
	heard  store
	failed error // why nothing is heard any more; nil: all is well

	stop context.CancelFunc
	done sync.WaitGroup
}

// A source hands over what the kernel has noted. It never waits.
type source interface {
	drain(hear func(event)) (lost uint64, err error) // lost since the last drain
	whole() bool                                     // the kernel tells of every reset that a TCP stack of it makes
	close()
}

// ErrUnwatched is what every error of OpenWitness is, for errors.Is.
var ErrUnwatched = errors.New("not watched")

// Unwatched says why a source of evidence cannot be had here. Its text is short enough for the coverage.
type Unwatched struct {
	Why string // a few words for people: "not root"
	Err error  // what was tried and what came of it, each way one after the other
}

func (u *Unwatched) Error() string        { return u.Why }
func (u *Unwatched) Unwrap() error        { return u.Err }
func (u *Unwatched) Is(target error) bool { return target == ErrUnwatched }

const (
	// drainEvery keeps the kernel's buffer from running over while nobody asks: it holds some 10,000 resets.
	drainEvery = 100 * time.Millisecond
	// beforeAccept is how long before it was accepted a connection may have been cut: it waited in the listener's queue.
	beforeAccept = time.Second
	// beforeEnd is how long before its first ending was noticed a connection's resets must all have been heard.
	beforeEnd = time.Second
	// afterEnd is how long after its end a connection's resets may be told: the kernel tells of one that it makes by itself
	// when that is on its way, and by then the relay may be done.
	afterEnd = 50 * time.Millisecond
	// onTheWay is the longest that a reset takes from one namespace of this machine to another, through whatever delays it.
	onTheWay = time.Second
	// waited is how soon after its accept the first ending is noticed of a connection that was cut before.
	waited = 50 * time.Millisecond
)

func newWitness(way string, own uint32, zero time.Time, s source) *Witness {
	ctx, stop := context.WithCancel(context.Background())
	w := &Witness{way: way, own: own, zero: zero, source: s, stop: stop}
	w.heard.drainedAt = time.Since(zero)
	w.done.Go(func() { w.keepDraining(ctx) })
	return w
}

// Way is how the kernel is heard, for people.
func (w *Witness) Way() string { return w.way }

// Lost is the number of resets that were never heard of because the kernel's buffer was full.
func (w *Witness) Lost() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listen()
	return w.heard.lost
}

// Close detaches from the kernel and leaves nothing behind in it. What was heard stays known. It may be called twice.
func (w *Witness) Close() {
	w.stop()
	w.done.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listen()
	w.failed = cmp.Or(w.failed, errClosed)
	w.source.close()
}

var errClosed = errors.New("closed")

func (w *Witness) keepDraining(ctx context.Context) {
	tick := time.NewTicker(drainEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.mu.Lock()
			w.listen()
			w.mu.Unlock()
		}
	}
}

// listen takes in what the kernel has noted; the caller holds mu. Every question begins with it, so an answer does not
// depend on when the last drain was: the kernel notes a reset before the socket tells of it.
func (w *Witness) listen() {
	if w.failed != nil {
		return
	}
	lost, err := w.source.drain(w.heard.add)
	w.heard.drained(lost, time.Since(w.zero))
	w.failed = err
}

// Active is true also when nothing can be heard any more: the coverage says why.
func (w *Witness) Active() bool { return true }

// Of gives the resets of the connection's two legs. A reset may be told as accepted before it is told as sent, since the
// kernel tells of one that it makes by itself when it is on its way already.
func (w *Witness) Of(c *Connection) (seen []evidence.Observation, coverage string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listen()
	began, firstEnd := c.Accepted.Sub(w.zero), c.firstEnd().Sub(w.zero)
	from, to := began, min(time.Since(w.zero), c.Ended.Sub(w.zero)+afterEnd)
	if firstEnd-began < waited {
		from -= beforeAccept
	}
	ends := endsOf(c)
	unclear := false
	var made, accepted [3]*event // a far end's reset, by leg: as its sender told, and as we did
	tell := func(e *event, sender, receiver evidence.Leg) {
		seen = append(seen, evidence.Observation{At: max(0, e.at-began), Leg: cmp.Or(sender, receiver),
			What: e.kernel(sender, receiver, w.own)})
	}
	var keys [8]addresses
	for _, key := range ends.keys(&keys) {
		w.heard.each(key, from, to, func(e *event) {
			sender, receiver, fit := ends.match(e, w.own)
			if fit == fitUnclear {
				unclear = true
			}
			if fit != fits || !e.claim(began, c.Ended.Sub(w.zero), sender, receiver) {
				return
			}
			tell(e, sender, receiver)
			if e.sent {
				made[sender] = e
			} else {
				accepted[sender] = e
			}
		})
	}
	for _, leg := range [...]evidence.Leg{evidence.Downstream, evidence.Upstream} {
		if got := accepted[leg]; got != nil && made[leg] == nil {
			if e := w.elsewhere(got, ends.meant); e != nil {
				tell(e, leg, evidence.NoLeg)
			}
		}
	}
	missing := w.heard.missing(max(from, firstEnd-beforeEnd), to)
	switch {
	case w.failed != nil:
		return seen, "failed: " + w.failed.Error()
	case missing != 0:
		return seen, fmt.Sprintf("%d resets were too many to hear", missing)
	case unclear:
		return seen, "both legs have the same addresses"
	case !w.source.whole():
		return seen, "this kernel tells not of all resets (before 6.10)"
	}
	return seen, evidence.Watched
}

// elsewhere finds who on this machine made a reset that a socket of ours accepted, where a NAT between the two has rewritten one
// of its ends: it bears the same sequence number, which NAT leaves alone and of which a socket accepts just the one.
func (w *Witness) elsewhere(got *event, meant end) (made *event) {
	if got.sequence == 0 {
		return nil
	}
	w.heard.eachSent(got.sequence, got.at-onTheWay, got.at+afterEnd, func(e *event) {
		toUs := e.to == got.to || e.to == meant && meant != end{}
		if toUs != (e.from == got.from) {
			made = e
		}
	})
	return made
}

// claim says whether e may be of the connection that began and ended then, and keeps what came while that lasted from any
// later one of the same addresses.
func (e *event) claim(began, ended time.Duration, from, to evidence.Leg) bool {
	if e.at < began && (from == evidence.Upstream || to == evidence.Upstream) {
		return false // of an earlier use of these addresses: we dialled after the accept
	}
	if e.claimed == 0 && e.at <= ended {
		e.claimed = began
	}
	return e.claimed == 0 || e.claimed == began
}

// event is one reset as the kernel told of it.
type event struct {
	at       time.Duration // of CLOCK_MONOTONIC
	from, to end
	sent     bool   // else accepted
	listener bool   // from is only a port, to is nothing
	state    uint8  // of the socket; zero: none, or not told
	netns    uint32 // inode of the network namespace of the stack that tells; zero: not told
	pid      uint32 // of process; zero without one
	sequence uint32 // that it bears, by which it is known beyond a NAT; zero: not told
	reason   string
	process  string // whose call made the reset; empty: an answer to a packet, a timer, or not told

	claimed   time.Duration // when the connection began that was told of it; zero: none yet
	older     uint64        // number of the event before it of the same addresses; see store
	olderSent uint64        // of the one sent before it with the same sequence number; likewise
}

func (e *event) kernel(from, to evidence.Leg, own uint32) evidence.Kernel {
	return evidence.Kernel{Sent: e.sent, From: from, To: to, Reason: e.reason, State: e.state, Process: e.process, PID: e.pid,
		Foreign: e.netns != 0 && e.netns != own, Listener: e.listener}
}
