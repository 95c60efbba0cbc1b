package telemetry

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"whyreset/diagnose/record"
)

// Writer takes records from any goroutine and writes them from one of its own.
type Writer struct {
	settings atomic.Pointer[settings]
	clean    atomic.Uint64 // harmless endings so far, for sampling
	skipped  atomic.Uint64

	wake chan struct{} // there is a record to write
	urge chan struct{} // there is another output to write to, or the end
	done chan struct{} // the writing goroutine has returned

	mu       sync.Mutex
	queue    [classes]ring
	bytes    int // memory of all records in queue and flight
	counts   [classes]Count
	untold   [classes]uint64 // dropped since it was last told
	lastTold time.Time
	failures uint64
	flight   flight
	current  *output // changed by the writing goroutine only
	next     *output // to be current; nil: no change
	closing  bool    // no more records are taken
	given    bool    // up: what was left is counted as dropped
}

// Counters are exact at any moment: Made = Written + Dropped + waiting, for each class.
type Counters struct {
	Harmful  Count  // harmful endings, and all notices
	Ordinary Count  // everything else
	Skipped  uint64 // endings of which no record was made: sampled out, or not asked for
	Failures uint64 // writes that failed
}

// Count is of records.
type Count struct{ Made, Written, Dropped uint64 }

// Waiting is how many are on their way.
func (c Count) Waiting() uint64 { return c.Made - c.Written - c.Dropped }

// Open opens the output and starts to write.
func Open(o Options) (*Writer, error) {
	out, err := openOutput(o.Output)
	if err != nil {
		return nil, err
	}
	w, err := start(o, out)
	if err != nil {
		out.file.Close()
	}
	return w, err
}

func start(o Options, out *output) (*Writer, error) {
	s, err := settle(o, out)
	if err != nil {
		return nil, err
	}
	w := &Writer{wake: make(chan struct{}, 1), urge: make(chan struct{}, 1), done: make(chan struct{}), current: out}
	w.settings.Store(s)
	go w.write()
	return w, nil
}

// Configure changes everything that the options say, the output included. On an error nothing has
// changed. Records that wait keep the form they were made in.
func (w *Writer) Configure(o Options) error {
	old := w.settings.Load()
	if o.Output == old.Output {
		s, err := settle(o, old.out)
		if err == nil {
			w.settings.Store(s)
		}
		return err
	}
	return w.switchTo(o)
}

// Reopen opens the output's file again, after somebody has moved the old one away. On an error the old one
// stays in use. Reopen and Configure are for one caller at a time.
func (w *Writer) Reopen() error {
	o := w.settings.Load().Options
	if o.Output == "" || o.Output == "stdout" || o.Output == "stderr" {
		return nil
	}
	return w.switchTo(o)
}

// switchTo lets the next batch go to the options' output. A switch that has not been made yet is overtaken.
func (w *Writer) switchTo(o Options) error {
	out, err := openOutput(o.Output)
	if err != nil {
		return err
	}
	s, err := settle(o, out)
	if err != nil {
		out.file.Close()
		return err
	}
	w.settings.Store(s)
	w.mu.Lock()
	overtaken, current := w.next, w.current
	w.next = out
	w.mu.Unlock()
	if overtaken != nil {
		overtaken.file.Close()
	}
	current.release() // it may be stuck
	signal(w.urge)
	return nil
}

// Connection records an ended connection, under the writer's identity and time.
func (w *Writer) Connection(c *record.Connection) {
	s := w.settings.Load()
	cl := harmful
	if !c.Verdict.Harmful() {
		if cl = ordinary; s.Only == Harmful || !w.sampled(s.SampleClean) {
			w.skipped.Add(1)
			return
		}
		if w.dropEarly(s) {
			return
		}
	}
	c.By, c.Time = s.By, time.Now()
	r := newWaiting(cl)
	if s.console {
		r.data = appendConsole(r.data, s.styleNow(), c)
	} else {
		r.data = record.Append(r.data, c)
	}
	w.add(r, s)
}

// Started records a connection that goes on. The console has no line for it.
func (w *Writer) Started(c *record.Connection) {
	s := w.settings.Load()
	if s.console || s.Only == Harmful {
		w.skipped.Add(1)
		return
	}
	c.By, c.Time = s.By, time.Now()
	r := newWaiting(ordinary)
	r.data = record.AppendStart(r.data, c)
	w.add(r, s)
}

// Notice records something about the program itself.
func (w *Writer) Notice(n record.Notice) {
	s := w.settings.Load()
	w.add(w.noticed(n, s), s)
}

func (w *Writer) noticed(n record.Notice, s *settings) *waiting {
	n.By, n.Time = s.By, time.Now()
	r := newWaiting(harmful)
	if s.console {
		r.data = appendNotice(r.data, s.styleNow(), &n)
	} else {
		r.data = n.Append(r.data)
	}
	return r
}

// sampled picks an even share of the harmless endings, without chance: of any hundred in a row, a share of
// 0.25 takes 25.
func (w *Writer) sampled(share float64) bool {
	if share >= 1 {
		return true
	}
	n := w.clean.Add(1)
	return uint64(float64(n)*share) > uint64(float64(n-1)*share)
}

// dropEarly drops an ordinary record that would find no room, before it is made into text.
func (w *Writer) dropEarly(s *settings) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bytes < s.Queue && !w.closing {
		return false
	}
	w.counts[ordinary].Made++
	w.drop(ordinary)
	return true
}

// add queues a record, or drops one. Invariant: bytes is the memory of what is queued and in flight.
func (w *Writer) add(r *waiting, s *settings) {
	w.mu.Lock()
	w.counts[r.class].Made++
	need := cap(r.data)
	for r.class == harmful && w.bytes+need > s.Queue && w.queue[ordinary].n > 0 {
		w.discard(w.queue[ordinary].newest())
		w.drop(ordinary)
	}
	if w.closing || w.bytes+need > s.Queue {
		w.drop(r.class)
		w.mu.Unlock()
		pool.Put(r)
		return
	}
	w.queue[r.class].push(r)
	w.bytes += need
	w.mu.Unlock()
	signal(w.wake)
}

func (w *Writer) drop(c class) {
	w.counts[c].Dropped++
	w.untold[c]++
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Counters are those of this moment.
func (w *Writer) Counters() Counters {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Counters{Harmful: w.counts[harmful], Ordinary: w.counts[ordinary], Skipped: w.skipped.Load(), Failures: w.failures}
}

// Close writes what waits and closes the output. It waits no longer than ctx allows, and not for an output
// that fails. What is left then counts as dropped, and the error says how much; of a write that the kernel
// never finished, that is all. No records are taken any more.
func (w *Writer) Close(ctx context.Context) error {
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	signal(w.urge)
	select {
	case <-w.done:
	case <-ctx.Done():
		w.mu.Lock()
		current := w.current
		w.mu.Unlock()
		if current.release() == nil {
			select {
			case <-w.done:
			case <-time.After(releaseWait):
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.giveUp()
	if h, o := w.untold[harmful], w.untold[ordinary]; h+o > 0 {
		return fmt.Errorf("log output %s: %d records of harmful endings or of errors, and %d ordinary ones, could not be written",
			w.current.file.Name(), h, o)
	}
	return nil
}

// releaseWait is ample for a goroutine to return from a write that was released.
const releaseWait = 100 * time.Millisecond
