package telemetry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"whyreset/diagnose"
	"whyreset/diagnose/record"
)

// pipe starts a writer on a pipe and gives the end to read.
func pipe(t *testing.T, o Options) (*Writer, *os.File) {
	t.Helper()
	r, f, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	out, err := newOutput(f)
	if err != nil {
		t.Fatal(err)
	}
	o.SampleClean = 1
	w, err := start(o, out)
	if err != nil {
		t.Fatal(err)
	}
	return w, r
}

// note is where trouble is told to.
type note struct {
	mu   sync.Mutex
	text strings.Builder
}

func (n *note) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(p)
}

func (n *note) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

func sums(t *testing.T, c Counters) {
	t.Helper()
	for name, n := range map[string]Count{"harmful": c.Harmful, "ordinary": c.Ordinary} {
		if n.Made != n.Written+n.Dropped {
			t.Errorf("got %d %s records made, %d written and %d dropped", n.Made, name, n.Written, n.Dropped)
		}
	}
}

// A hundred thousand records through an output that is stuck, then slow, then full, then well: each one is
// written or counted, what was dropped is told in records, no caller is held up, and what hurt gets through.
func TestStuckSlowFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skipf("no /dev/full here: %v", err)
	}
	dir := t.TempDir()
	fifo, path := filepath.Join(dir, "fifo"), filepath.Join(dir, "log")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	var trouble note
	o := Options{Output: fifo, SampleClean: 1, Queue: 4 << 20, Trouble: &trouble}
	w := open(t, o)
	sequence := uint64(0)
	burst := func(n int) {
		t.Helper()
		begin := time.Now()
		for range n {
			sequence++
			impact := diagnose.NoImpact
			if sequence%100 == 0 {
				impact = diagnose.AnswerCut
			}
			w.Connection(connection(sequence, impact))
		}
		// No caller waits for the output: a single wait would be for ever.
		if took := time.Since(begin); took > ample {
			t.Errorf("%d records took %v", n, took)
		}
	}

	burst(40_000) // nobody reads
	stuck := w.Counters()
	if stuck.Ordinary.Dropped == 0 || stuck.Harmful.Dropped != 0 {
		t.Errorf("got %+v, want ordinary records dropped and no harmful one", stuck)
	}

	var got tally
	var slow sync.WaitGroup
	slow.Go(func() { got.count(t, io.TeeReader(reader, slowly{})) })
	burst(15_000)
	waitFor(t, "the slow reader", func() bool { return w.Counters().Ordinary.Waiting() == 0 })
	burst(15_000)

	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	o.Output = path
	if err := w.Configure(o); err != nil {
		t.Fatal(err)
	}
	slow.Wait() // the writer has closed the pipe
	burst(29_999)
	waitFor(t, "a failed write", func() bool { return w.Counters().Failures > 0 })

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := w.Reopen(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the queue to empty", func() bool { return w.Counters().Ordinary.Waiting() == 0 })
	burst(1)
	closeNow(t, w)
	got.file(t, path)

	c := w.Counters()
	sums(t, c)
	if c.Harmful.Dropped != 0 {
		t.Errorf("got %d harmful records dropped, want none", c.Harmful.Dropped)
	}
	if made := c.Harmful.Made - uint64(len(got.notices)) + c.Ordinary.Made; made != 100_000 {
		t.Errorf("got %d records made, want 100000", made)
	}
	if n := uint64(len(got.sequences)); n != c.Ordinary.Written+c.Harmful.Written-uint64(len(got.notices)) {
		t.Errorf("got %d records in the outputs, want the %+v that were written", n, c)
	}
	for s, n := range got.sequences {
		if n != 1 {
			t.Errorf("got record %d %d times, want once", s, n)
		}
	}
	told := uint64(0)
	for _, n := range got.notices {
		if n.Event.Action != string(record.RecordsDropped) || n.Level != "error" {
			t.Errorf("got notice %+v, want one of dropped records", n)
		}
		if n.Whyreset.Count != n.Whyreset.Dropped.Harmful+n.Whyreset.Dropped.Ordinary {
			t.Errorf("got notice %+v, whose numbers do not sum up", n)
		}
		told += n.Whyreset.Count
	}
	if told != c.Ordinary.Dropped || told == 0 {
		t.Errorf("got %d told as dropped, want %d", told, c.Ordinary.Dropped)
	}
	if n := strings.Count(trouble.String(), "\n"); n != 1 || !strings.Contains(trouble.String(), "no space left on device") {
		t.Errorf("got trouble told %d times, want once, about the full device:\n%s", n, trouble.String())
	}
	t.Logf("%+v, dropped told in %d notices", c, len(got.notices))
}

// slowly holds up whoever reads through it.
type slowly struct{}

func (slowly) Write(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return len(p), nil
}

// stuckWriter is one whose first record, number 1, finds no room in its pipe; let begins to read.
func stuckWriter(t *testing.T, o Options) (w *Writer, let func() *tally) {
	t.Helper()
	w, r := pipe(t, o)
	stuffing := stuff(t, w.current.file)
	w.Connection(connection(1, diagnose.NoImpact))
	waitFor(t, "the writer to get stuck", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.flight.records) == 1
	})
	return w, func() *tally {
		t.Helper()
		var got tally
		done := make(chan struct{})
		go func() {
			defer close(done)
			io.CopyN(io.Discard, r, stuffing)
			got.count(t, r)
		}()
		closeNow(t, w)
		<-done
		sums(t, w.Counters())
		return &got
	}
}

// The lesser class makes room for the other, the newest first; when it has gone, the newest of the other goes.
func TestRoomForTheHarmful(t *testing.T) {
	w, let := stuckWriter(t, Options{Queue: 300 << 10})
	for i := range uint64(1000) {
		w.Connection(connection(i+2, diagnose.NoImpact))
	}
	before := w.Counters()
	w.Connection(connection(2001, diagnose.AnswerCut))
	w.Notice(record.Notice{Level: record.Error, Code: record.AcceptFailed, Message: "cannot accept"})
	after := w.Counters()
	if after.Harmful.Dropped != 0 || after.Ordinary.Dropped <= before.Ordinary.Dropped || before.Ordinary.Dropped == 0 {
		t.Errorf("got %+v, then %+v: want ordinary records to make room", before, after)
	}
	for i := range uint64(1000) {
		w.Connection(connection(2002+i, diagnose.AnswerCut))
	}
	full := w.Counters()
	if full.Harmful.Dropped == 0 || full.Ordinary.Waiting() != 1 {
		t.Errorf("got %+v, want harmful records dropped only when the ordinary have gone", full)
	}
	got := let()
	kept := full.Harmful.Made - full.Harmful.Dropped - 1 // without the notice
	for i := range kept {
		if got.sequences[2001+i] != 1 {
			t.Errorf("harmful record %d of %d is missing, want the newest dropped", i, kept)
		}
	}
}

func TestHarmfulGoFirst(t *testing.T) {
	w, let := stuckWriter(t, Options{})
	for i := range uint64(100) {
		w.Connection(connection(1002+i, diagnose.NoImpact))
	}
	for i := range uint64(100) {
		w.Connection(connection(2+i, diagnose.UnknownImpact))
	}
	w.Notice(record.Notice{Level: record.Info, Code: record.Stopping, Message: "stopping"})
	got := let()
	want := uint64(1)
	for i, l := range got.order {
		if i == 101 {
			if l.Event.Action != string(record.Stopping) {
				t.Errorf("got %+v in place %d, want the notice after the harmful records", l, i)
			}
			want = 1002
			continue
		}
		if l.Event.Sequence != want {
			t.Fatalf("got record %d in place %d, want %d", l.Event.Sequence, i, want)
		}
		want++
	}
	if len(got.order) != 202 {
		t.Errorf("got %d records, want 202", len(got.order))
	}
}

// stuff fills a pipe, so that the next write is stuck, and says with how many bytes.
func stuff(t *testing.T, f *os.File) (n int64) {
	t.Helper()
	for size := 64 << 10; size > 0; {
		f.SetWriteDeadline(time.Now().Add(5 * time.Millisecond))
		m, err := f.Write(make([]byte, size))
		n += int64(m)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
	f.SetWriteDeadline(time.Time{})
	return n
}

func TestCloseWaitsNoLongerThanAllowed(t *testing.T) {
	w, r := pipe(t, Options{})
	for i := range uint64(1000) {
		w.Connection(connection(i+1, diagnose.NoImpact))
	}
	first := make([]byte, 1) // is there when a write is under way
	if _, err := r.Read(first); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	begin := time.Now()
	err := w.Close(ctx)
	if took := time.Since(begin); took > ample/2 {
		t.Errorf("took %v", took)
	}
	if err == nil || !strings.Contains(err.Error(), "ordinary ones, could not be written") {
		t.Errorf("got error %v, want the number of lost records", err)
	}
	c := w.Counters()
	sums(t, c)
	// The writing goroutine was released, and closes the pipe.
	var got tally
	got.count(t, io.MultiReader(bytes.NewReader(first), r))
	if n := uint64(len(got.sequences)); n != c.Ordinary.Written || n == 0 || c.Ordinary.Dropped == 0 {
		t.Errorf("got %d records in the pipe, counters %+v", n, c)
	}
	<-w.done
}

// A terminal or an inherited pipe may block, and cannot be released: Close leaves its goroutine behind.
func TestCloseLeavesABlockingOutput(t *testing.T) {
	r, f, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f.Fd() // makes it block
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	out, err := newOutput(os.NewFile(uintptr(fd), "blocking"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := start(Options{SampleClean: 1}, out)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(1000) {
		w.Connection(connection(i+1, diagnose.NoImpact))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := w.Close(ctx); err == nil {
		t.Error("got no error, want the number of lost records")
	}
	before := w.Counters()
	sums(t, before)
	go io.Copy(io.Discard, r)
	<-w.done
	if after := w.Counters(); after != before {
		t.Errorf("got %+v and later %+v: what was given up must stay so", before, after)
	}
}

func TestCloseDoesNotWaitForABrokenOutput(t *testing.T) {
	var trouble note
	w, r := pipe(t, Options{Trouble: &trouble})
	r.Close()
	w.Connection(connection(1, diagnose.AnswerCut))
	waitFor(t, "a failed write", func() bool { return w.Counters().Failures > 0 })
	err := w.Close(context.Background())
	if err == nil || !strings.Contains(err.Error(), "1 records of harmful endings") {
		t.Errorf("got error %v, want the lost record in it", err)
	}
	sums(t, w.Counters())
	if !strings.Contains(trouble.String(), "broken pipe") {
		t.Errorf("got trouble %q, want the broken pipe", trouble.String())
	}
}

// A FIFO that nobody reads must not hold up the start.
func TestOpenDoesNotWaitForAReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Output: path}); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("got error %v, want %v", err, syscall.ENXIO)
	}
}

// Whoever reads the log from stdout may go away; the runtime ends a program that then writes to
// descriptor 1 itself. The test runs itself with a stdout that nobody reads.
func TestOutlivesTheReaderOfStdout(t *testing.T) {
	const child = "WHYRESET_TELEMETRY_CHILD"
	if name := os.Getenv(child); name != "" {
		w, err := Open(Options{Output: name, SampleClean: 1, Trouble: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		w.Connection(connection(1, diagnose.AnswerCut))
		waitFor(t, "a failed write", func() bool { return w.Counters().Failures > 0 })
		os.Exit(7)
	}
	for _, name := range []string{"stdout", "stderr"} {
		t.Run(name, func(t *testing.T) {
			r, f, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
			defer f.Close()
			cmd := exec.Command(os.Args[0], "-test.run=^TestOutlivesTheReaderOfStdout$")
			cmd.Env = append(os.Environ(), child+"="+name)
			var other bytes.Buffer
			cmd.Stdout, cmd.Stderr = f, &other
			if name == "stderr" {
				cmd.Stdout, cmd.Stderr = &other, f
			}
			err = cmd.Run()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 7 {
				t.Errorf("got %v, want the program to live on and exit by itself:\n%s", err, other.String())
			}
		})
	}
}
