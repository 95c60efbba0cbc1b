package telemetry

import (
	"fmt"
	"time"

	"whyreset/diagnose/record"
)

// flight is the batch that is being written, in one write where the output takes it. Only the writing
// goroutine touches buf and data; the rest is guarded by the writer's lock. Its records count as waiting
// until they are written whole.
type flight struct {
	buf     []byte
	data    []byte     // the end of buf: what is left to write
	records []*waiting // not written yet
	part    int        // bytes of the first of them that are
	tells   [classes]uint64
}

// Bounds of one write: enough to spare system calls, little enough to let harmful records go first soon.
const (
	maxBatch   = 64
	batchBytes = 64 << 10
)

// An output that failed is tried again after these pauses.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = time.Second
)

// tellEvery is how often drops are told while they go on.
const tellEvery = time.Second

// write is the goroutine that writes.
func (w *Writer) write() {
	defer close(w.done)
	pause := time.Duration(0)
	for w.load() {
		n, err := w.current.file.Write(w.flight.data)
		if !w.landed(n, err) {
			pause = 0
			continue
		}
		if pause == 0 {
			fmt.Fprintf(w.settings.Load().Trouble, "whyreset: log output: %v; records wait, and are dropped when there is no more room\n", err)
		}
		pause = min(max(firstPause, 2*pause), lastPause)
		select {
		case <-time.After(pause):
		case <-w.urge:
		}
	}
	w.current.file.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next != nil {
		w.next.file.Close()
		w.next = nil
	}
}

// load waits until there is something to write; false: there never will be.
func (w *Writer) load() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		f := &w.flight
		switch {
		case w.given:
			return false
		case w.next != nil:
			w.current.file.Close()
			w.current, w.next = w.next, nil
			f.part = 0 // a line that was begun in the old output begins anew in the new one
			f.pack()
		case len(f.records) > 0:
			return true
		case w.untold != [classes]uint64{} && (w.queue[harmful].n+w.queue[ordinary].n == 0 || time.Since(w.lastTold) >= tellEvery):
			w.fill(w.dropNotice())
			return true
		case w.queue[harmful].n+w.queue[ordinary].n > 0:
			w.fill(nil)
			return true
		case w.closing:
			return false
		default:
			w.mu.Unlock()
			select {
			case <-w.wake:
			case <-w.urge:
			}
			w.mu.Lock()
		}
	}
}

// fill takes a batch from the queues, the harmful ones first. It is called when all before has been
// written, so that the output is known to work.
func (w *Writer) fill(first *waiting) {
	f := &w.flight
	f.records, f.part = f.records[:0], 0
	size := 0
	take := func(r *waiting) {
		f.records = append(f.records, r)
		size += len(r.data)
	}
	if first != nil {
		take(first)
	}
	for c := range w.queue {
		for w.queue[c].n > 0 && len(f.records) < maxBatch && size < batchBytes {
			take(w.queue[c].oldest())
		}
	}
	f.pack()
}

// pack puts together what is to be written.
func (f *flight) pack() {
	f.buf = f.buf[:0]
	for _, r := range f.records {
		f.buf = append(f.buf, r.data...)
	}
	f.data = f.buf
}

// dropNotice makes the record that tells what was dropped.
func (w *Writer) dropNotice() *waiting {
	w.lastTold, w.flight.tells = time.Now(), w.untold
	n := record.Notice{
		Level: record.Error, Code: record.RecordsDropped, Count: w.untold[harmful] + w.untold[ordinary],
		Message: fmt.Sprintf("%d records of harmful endings or of errors, and %d ordinary ones, were dropped: the log output was slow, stuck or full",
			w.untold[harmful], w.untold[ordinary]),
		Dropped: &record.Dropped{Harmful: w.untold[harmful], Ordinary: w.untold[ordinary]},
	}
	r := w.noticed(n, w.settings.Load())
	w.counts[r.class].Made++
	w.bytes += cap(r.data)
	return r
}

// landed takes account of a write of n bytes; retry is true when the output failed and is to be tried again
// after a pause.
func (w *Writer) landed(n int, err error) (retry bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := &w.flight
	if w.given {
		return false
	}
	f.data = f.data[n:]
	f.part += n
	whole := 0
	for whole < len(f.records) && f.part >= len(f.records[whole].data) {
		r := f.records[whole]
		f.part -= len(r.data)
		w.counts[r.class].Written++
		w.discard(r)
		whole++
	}
	f.records = append(f.records[:0], f.records[whole:]...)
	if whole > 0 { // a notice of drops comes first
		for c, n := range f.tells {
			w.untold[c] -= n
		}
		f.tells = [classes]uint64{}
	}
	if err == nil {
		return false
	}
	w.failures++
	if w.next != nil {
		return false
	}
	if w.closing {
		w.giveUp()
		return false
	}
	return true
}

// giveUp counts as dropped all that has not been written.
func (w *Writer) giveUp() {
	if w.given {
		return
	}
	w.given = true
	for _, r := range w.flight.records {
		w.drop(r.class)
		w.discard(r)
	}
	w.flight.records = nil
	for c := range w.queue {
		for w.queue[c].n > 0 {
			r := w.queue[c].oldest()
			w.drop(r.class)
			w.discard(r)
		}
	}
}

// discard gives the memory of a record back.
func (w *Writer) discard(r *waiting) {
	w.bytes -= cap(r.data)
	pool.Put(r)
}
