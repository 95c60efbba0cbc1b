package telemetry

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/evidence"
	"whyreset/diagnose/record"
)

// ample is how long a test waits for what must happen.
const ample = 60 * time.Second

func connection(sequence uint64, impact diagnose.Impact) *record.Connection {
	client, own := netip.MustParseAddrPort("127.0.0.1:51234"), netip.MustParseAddrPort("127.0.0.1:15432")
	return &record.Connection{
		ID: "01JDF5Z0KT8V5Q2M7C9XGZ4R3E", Sequence: sequence, Listener: "db", Target: "db:5432",
		Start: time.Now().Add(-time.Second), Duration: time.Second,
		Downstream: record.Leg{Local: own, Remote: client}, Upstream: record.Leg{Local: client, Remote: own},
		Evidence: &evidence.Evidence{Client: client, OwnDown: own, Server: own, OwnUp: client,
			Coverage: evidence.Coverage{Sockets: evidence.Watched},
			Observations: []evidence.Observation{
				{Leg: evidence.Downstream, What: evidence.Socket{Call: evidence.Accept, Saw: evidence.Connected}},
				{At: time.Millisecond, Leg: evidence.Upstream, What: evidence.Socket{Call: evidence.Connect, Saw: evidence.Connected}},
				{At: time.Second, Leg: evidence.Upstream, What: evidence.Socket{Call: evidence.Recv, Saw: evidence.Error, Errno: evidence.ECONNRESET}},
				{At: time.Second, Leg: evidence.Downstream, What: evidence.Transfer{In: 100, LastIn: time.Millisecond}},
				{At: time.Second, Leg: evidence.Upstream, What: evidence.Transfer{In: 3_000_000, Out: 100, LastIn: time.Millisecond, LastOut: time.Millisecond}},
			}},
		Verdict: diagnose.Verdict{Action: diagnose.Reset, Side: diagnose.SideUpstream, Origin: cause.Application, Cause: "app_abort",
			Confidence: cause.Likely, Impact: impact, Phase: cause.Outstanding, Sentence: "upstream 127.0.0.1:15432 aborted the connection",
			Advice: []string{"Ask it why"}},
	}
}

// closeNow closes within the time that a test has.
func closeNow(t *testing.T, w *Writer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), ample)
	defer cancel()
	if err := w.Close(ctx); err != nil {
		t.Errorf("got %v from Close", err)
	}
}

func open(t *testing.T, o Options) *Writer {
	t.Helper()
	w, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// tally is what was found in an output.
type tally struct {
	sequences map[uint64]int
	notices   []line
	order     []line
	torn      string // the end of a line without its newline
}

type line struct {
	Level string `json:"log.level"`
	Event struct {
		Action   string
		Sequence uint64
	}
	Whyreset struct {
		Count   uint64
		Dropped struct{ Harmful, Ordinary uint64 }
	}
}

// count reads an output, in which every whole line must be a record.
func (c *tally) count(t *testing.T, from io.Reader) {
	t.Helper()
	if c.sequences == nil {
		c.sequences = map[uint64]int{}
	}
	r := bufio.NewReader(from)
	for {
		text, err := r.ReadBytes('\n')
		if err != nil {
			c.torn = string(text)
			return
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			t.Errorf("no record: %v: %.200q", err, text)
			return
		}
		c.order = append(c.order, l)
		if l.Event.Sequence == 0 {
			c.notices = append(c.notices, l)
			continue
		}
		c.sequences[l.Event.Sequence]++
	}
}

func (c *tally) file(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c.count(t, bytes.NewReader(data))
}

func TestWritesRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w := open(t, Options{Output: path, SampleClean: 1, By: record.Identity{Version: "1.2.3", Host: "edge-1"}})
	before := time.Now()
	w.Connection(connection(7, diagnose.AnswerCut))
	w.Started(connection(8, diagnose.NoImpact))
	w.Notice(record.Notice{Level: record.Error, Code: record.AcceptFailed, Message: "cannot accept"})
	closeNow(t, w)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		c, err := record.Parse(line)
		if err != nil {
			continue
		}
		if c.Sequence != 7 || c.By.Version != "1.2.3" || c.By.Host != "edge-1" || c.Time.Before(before) {
			t.Errorf("got %d by %v at %v, want 7 by the writer and now", c.Sequence, c.By, c.Time)
		}
	}
	var got tally
	got.file(t, path)
	if len(got.sequences) != 2 || len(got.notices) != 1 || got.notices[0].Event.Action != "accept_failed" {
		t.Errorf("got %+v, want two connections and a notice:\n%s", got, data)
	}
	want := Counters{Harmful: Count{Made: 2, Written: 2}, Ordinary: Count{Made: 1, Written: 1}}
	if c := w.Counters(); c != want {
		t.Errorf("got counters %+v, want %+v", c, want)
	}
}

func TestConsole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w := open(t, Options{Output: path, SampleClean: 1, Format: Console, Width: 80})
	w.Connection(connection(1, diagnose.AnswerCut))
	w.Connection(connection(2, diagnose.NoImpact))
	w.Started(connection(3, diagnose.NoImpact))
	w.Notice(record.Notice{Level: record.Error, Code: record.AcceptFailed, Message: "cannot accept", Error: "too many open files"})
	closeNow(t, w)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := string(data)
	for _, want := range []string{"127.0.0.1:51234 → 127.0.0.1:15432", "    harm     The client got only part", "    try      Ask it why.", "error cannot accept: too many open files\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %q in it", got, want)
		}
	}
	if n := strings.Count(got, "app_abort"); n != 2 {
		t.Errorf("got %d lines of connections, want 2:\n%s", n, got)
	}
	if n := strings.Count(got, "Ask it why"); n != 1 {
		t.Errorf("got the why %d times, want it for the harmful one only:\n%s", n, got)
	}
	if strings.Contains(got, "\x1b") {
		t.Errorf("got colours in a file:\n%q", got)
	}
	if c := w.Counters(); c.Skipped != 1 {
		t.Errorf("got %d skipped, want the start alone", c.Skipped)
	}
}

func TestSelection(t *testing.T) {
	for _, tt := range []struct {
		name     string
		only     Only
		sample   float64
		ordinary int
	}{
		{"all", All, 1, 1000},
		{"unset is all", "", 1, 1000},
		{"a quarter", All, 0.25, 250},
		{"a thousandth", All, 0.001, 1},
		{"none", All, 0, 0},
		{"harmful", Harmful, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			w := open(t, Options{Output: path, Only: tt.only, SampleClean: tt.sample})
			for i := range uint64(1000) {
				w.Connection(connection(2*i+1, diagnose.NoImpact))
				w.Connection(connection(2*i+2, diagnose.UnknownImpact))
			}
			closeNow(t, w)
			var got tally
			got.file(t, path)
			if n := len(got.sequences) - 1000; n != tt.ordinary {
				t.Errorf("got %d harmless endings, want %d", n, tt.ordinary)
			}
			want := Counters{Harmful: Count{Made: 1000, Written: 1000},
				Ordinary: Count{Made: uint64(tt.ordinary), Written: uint64(tt.ordinary)}, Skipped: uint64(1000 - tt.ordinary)}
			if c := w.Counters(); c != want {
				t.Errorf("got counters %+v, want %+v", c, want)
			}
		})
	}
}

func TestOptionsRefused(t *testing.T) {
	good := filepath.Join(t.TempDir(), "log")
	for _, tt := range []struct {
		name string
		o    Options
		want string
	}{
		{"format", Options{Output: good, Format: "xml"}, `log format is "xml"`},
		{"only", Options{Output: good, Only: "some"}, `"some", want all or harmful`},
		{"share", Options{Output: good, SampleClean: 1.5}, "1.5, want 0 to 1"},
		{"folder", Options{Output: filepath.Join(t.TempDir(), "missing", "log")}, "log output: open "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Open(tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v from Open, want %q in it", err, tt.want)
			}
			w := open(t, Options{Output: good, SampleClean: 1})
			if err := w.Configure(tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v from Configure, want %q in it", err, tt.want)
			}
			w.Connection(connection(1, diagnose.NoImpact))
			closeNow(t, w)
			if c := w.Counters(); c.Ordinary.Written != 1 {
				t.Errorf("got counters %+v, want the old options to work on", c)
			}
		})
	}
}

func TestConfigure(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	w := open(t, Options{Output: first, SampleClean: 1})
	w.Connection(connection(1, diagnose.NoImpact))
	waitFor(t, "the first record", func() bool { return w.Counters().Ordinary.Written == 1 })
	if err := w.Configure(Options{Output: first, SampleClean: 0}); err != nil {
		t.Fatal(err)
	}
	w.Connection(connection(2, diagnose.NoImpact))
	if err := w.Configure(Options{Output: second, SampleClean: 1}); err != nil {
		t.Fatal(err)
	}
	w.Connection(connection(3, diagnose.NoImpact))
	closeNow(t, w)
	var a, b tally
	a.file(t, first)
	b.file(t, second)
	if len(a.sequences) != 1 || a.sequences[1] != 1 || len(b.sequences) != 1 || b.sequences[3] != 1 {
		t.Errorf("got %v in the first and %v in the second, want 1 and 3", a.sequences, b.sequences)
	}
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	path, old := filepath.Join(dir, "log"), filepath.Join(dir, "log.1")
	w := open(t, Options{Output: path, SampleClean: 1})
	w.Connection(connection(1, diagnose.NoImpact))
	waitFor(t, "the first record", func() bool { return w.Counters().Ordinary.Written == 1 })
	if err := os.Rename(path, old); err != nil {
		t.Fatal(err)
	}
	if err := w.Reopen(); err != nil {
		t.Fatal(err)
	}
	w.Connection(connection(2, diagnose.NoImpact))
	waitFor(t, "the second record", func() bool { return w.Counters().Ordinary.Written == 2 })
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := w.Reopen(); err == nil {
		t.Error("got no error from Reopen without the folder")
	}
	w.Connection(connection(3, diagnose.NoImpact))
	closeNow(t, w)
	if c := w.Counters(); c.Ordinary.Written != 3 {
		t.Errorf("got counters %+v, want the old file to stay in use", c)
	}
}

func TestReopenMovesOn(t *testing.T) {
	dir := t.TempDir()
	path, old := filepath.Join(dir, "log"), filepath.Join(dir, "log.1")
	w := open(t, Options{Output: path, SampleClean: 1})
	w.Connection(connection(1, diagnose.NoImpact))
	waitFor(t, "the first record", func() bool { return w.Counters().Ordinary.Written == 1 })
	if err := os.Rename(path, old); err != nil {
		t.Fatal(err)
	}
	for range 3 { // an overtaken one must not leak or hold up the next
		if err := w.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	w.Connection(connection(2, diagnose.NoImpact))
	closeNow(t, w)
	var a, b tally
	a.file(t, old)
	b.file(t, path)
	if len(a.sequences) != 1 || a.sequences[1] != 1 || len(b.sequences) != 1 || b.sequences[2] != 1 {
		t.Errorf("got %v in the old file and %v in the new, want 1 and 2", a.sequences, b.sequences)
	}
}

func TestManyCallers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w := open(t, Options{Output: path, SampleClean: 1, Queue: 1 << 30})
	var wg sync.WaitGroup
	for g := range uint64(8) {
		wg.Go(func() {
			for i := range uint64(500) {
				w.Connection(connection(g*500+i+1, []diagnose.Impact{diagnose.NoImpact, diagnose.AnswerCut}[i%2]))
				if i%100 == 0 {
					w.Counters()
				}
			}
		})
	}
	wg.Wait()
	closeNow(t, w)
	var got tally
	got.file(t, path)
	for i := range uint64(4000) {
		if n := got.sequences[i+1]; n != 1 {
			t.Errorf("got record %d %d times, want once", i+1, n)
		}
	}
}

func TestAfterClose(t *testing.T) {
	w := open(t, Options{Output: filepath.Join(t.TempDir(), "log"), SampleClean: 1})
	closeNow(t, w)
	w.Connection(connection(1, diagnose.NoImpact))
	w.Connection(connection(2, diagnose.AnswerCut))
	want := Counters{Harmful: Count{Made: 1, Dropped: 1}, Ordinary: Count{Made: 1, Dropped: 1}}
	if c := w.Counters(); c != want {
		t.Errorf("got counters %+v, want %+v", c, want)
	}
}

// waitFor waits until something is so that another goroutine brings about.
func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(ample); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", ample, what)
		}
	}
}

func TestRing(t *testing.T) {
	var r ring
	var want []*waiting
	for round := range 5 {
		for i := range 100 {
			x := &waiting{data: fmt.Appendf(nil, "%d-%d", round, i)}
			r.push(x)
			want = append(want, x)
		}
		for range 30 {
			if got := r.oldest(); got != want[0] {
				t.Fatalf("got %s as the oldest, want %s", got.data, want[0].data)
			}
			want = want[1:]
		}
		for range 30 {
			if got, last := r.newest(), want[len(want)-1]; got != last {
				t.Fatalf("got %s as the newest, want %s", got.data, last.data)
			}
			want = want[:len(want)-1]
		}
	}
	if r.n != len(want) {
		t.Errorf("got %d left, want %d", r.n, len(want))
	}
}

func BenchmarkConnection(b *testing.B) {
	for name, impact := range map[string]diagnose.Impact{"harmful": diagnose.AnswerCut, "ordinary": diagnose.NoImpact} {
		b.Run(name, func(b *testing.B) {
			w, err := Open(Options{Output: os.DevNull, SampleClean: 1})
			if err != nil {
				b.Fatal(err)
			}
			c := connection(1, impact)
			b.ReportAllocs()
			for b.Loop() {
				w.Connection(c)
			}
			if err := w.Close(context.Background()); err != nil {
				b.Log(err)
			}
		})
	}
}
