package integration

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
	"whyreset/proxy/relay"
)

// Data, then a reset, to a reader that takes its time: all of it arrives, and then the reset.
func TestResetToSlowReader(t *testing.T) {
	const size = 4 << 20
	for _, by := range []string{"client", "server"} {
		t.Run("by the "+by, func(t *testing.T) {
			t.Parallel()
			ln := listenTCP(t)
			r := startRelay(t, relay.Options{}, addressOf(ln.Addr()))
			gone := make(chan struct{})
			// The relay must have all of it before the reset comes, which destroys what has not been sent: the reader takes
			// a little meanwhile, should four megabytes be more than the buffers on the way.
			ender := steps(lab.Write(size), untilUnacked(0), lab.Reset(), signal(gone))
			var slow []lab.Step
			for range 20 {
				slow = append(slow, lab.Read(20_000), lab.Sleep(5*time.Millisecond))
			}
			other := slices.Concat(slow, steps(lab.Wait(gone)), slow, steps(lab.ReadAll()))
			atClient, atServer := ender, other
			if by == "server" {
				atClient, atServer = other, ender
			}
			peer := lab.Serve(ln, lab.Script{Sends: 1, Expects: 2, Steps: atServer})
			defer peer.Stop()
			got := dialAndRun(t.Context(), r.address, lab.Script{Sends: 2, Expects: 1, Steps: atClient})
			cut, err := peer.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if by == "client" {
				got, cut = cut, got
			}
			if cut.Written != size || cut.Trouble != nil {
				t.Fatalf("ender: got %v, want %d bytes written", cut, size)
			}
			if got.Read != size || got.End != lab.EndReset || got.Damage != nil {
				t.Errorf("reader: got %v, want all %d bytes and a reset: %d lost", got, size, size-got.Read)
			}
		})
	}
}

// stream is what happens on one connection, drawn from a seed.
type stream struct {
	seed      uint64
	up, down  int64  // bytes the client and the server send
	ender     string // who resets at the end; empty: both end with a FIN
	resetRead int64  // how much the ender reads before it resets
}

func draw(seed uint64) stream {
	rnd := rand.New(rand.NewPCG(seed, 1))
	size := func() int64 { // from nothing to what needs a pipe, small ones as often as large ones
		return rnd.Int64N(1 << rnd.IntN(22))
	}
	s := stream{seed: seed, up: size(), down: size()}
	switch rnd.IntN(4) {
	case 0:
		s.ender, s.resetRead = "client", rnd.Int64N(s.down+1)
	case 1:
		s.ender, s.resetRead = "server", rnd.Int64N(s.up+1)
	}
	return s
}

// script is one side of the stream: it writes in pieces with pauses and reads in pieces with pauses, both at the same time.
func (s stream) script(side string) lab.Script {
	sends, reads, number := s.up, s.down, uint64(1)
	if side == "server" {
		sends, reads, number = s.down, s.up, 2
	}
	rnd := rand.New(rand.NewPCG(s.seed, 1+number))
	pieces := func(total int64, step func(int64) lab.Step) (all []lab.Step) {
		for total > 0 {
			n := min(total, 1+rnd.Int64N(1<<rnd.IntN(18)))
			all = append(all, step(n))
			if rnd.IntN(4) == 0 {
				all = append(all, lab.Sleep(time.Duration(rnd.IntN(5))*time.Millisecond))
			}
			total -= n
		}
		return all
	}
	// Each direction has its own pattern.
	script := lab.Script{Sends: lab.Pattern(2*s.seed + number), Expects: lab.Pattern(2*s.seed + 3 - number), Limit: time.Minute}
	switch s.ender {
	case side:
		script.Steps = steps(lab.Together(pieces(sends, lab.Write), pieces(s.resetRead, lab.Read)), lab.Reset())
	case "":
		script.Steps = steps(lab.Together(append(pieces(sends, lab.Write), lab.CloseWrite()), append(pieces(reads, lab.Read), lab.ReadAll())))
	default:
		script.Steps = steps(lab.Together(pieces(sends, lab.Write), append(pieces(reads, lab.Read), lab.ReadAll())))
	}
	return script
}

// fault compares the two ends of a stream with each other and with what the relay knows.
func (s stream) fault(client, server lab.Outcome, ev *evidence.Evidence) error {
	for _, way := range []struct {
		name      string
		from      string
		sent, got lab.Outcome
		size      int64
		leg       evidence.Leg
	}{{"up", "client", client, server, s.up, evidence.Downstream}, {"down", "server", server, client, s.down, evidence.Upstream}} {
		c := carriedFrom(ev, way.leg)
		switch {
		case way.got.Damage != nil:
			return fmt.Errorf("%s: %w", way.name, way.got.Damage)
		case way.got.End == lab.EndStalled || way.got.End == lab.EndFailed || way.got.Trouble != nil:
			return fmt.Errorf("%s: %v", way.name, way.got)
		case s.ender == "" && (way.got.Read != way.size || way.got.End != lab.EndEOF):
			return fmt.Errorf("%s: got %v, want %d bytes to EOF", way.name, way.got, way.size)
		case s.ender == way.from && way.got.Read != c.in:
			return fmt.Errorf("%s: %d bytes arrived, and %d had reached the relay", way.name, way.got.Read, c.in)
		case s.ender == way.from && c.reset && c.in != c.received:
			return fmt.Errorf("%s: the relay read %d bytes, and %d had reached its kernel", way.name, c.in, c.received)
		}
	}
	return nil
}

var firstSeed = flag.Uint64("seed", 0, "the first seed of TestRandomStreams, where 0 takes the time; that of TestTrials, where 0 is one that stays")

// TestRandomStreams has 500 connections at a time, each with sizes, pauses and an end of its own.
func TestRandomStreams(t *testing.T) {
	const connections = 500
	seed := *firstSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("first seed %d", seed)
	goroutines, before := goleak.IgnoreCurrent(), open(t)
	ln := listenTCP(t)
	r := startRelay(t, relay.Options{}, addressOf(ln.Addr()))

	type result struct {
		client, server lab.Outcome
		stream         stream
	}
	results := make(chan result, connections)
	var all sync.WaitGroup
	for i := range connections {
		s := draw(seed + uint64(i))
		conn, err := net.Dial("tcp", r.address.String())
		if err != nil {
			t.Fatal(err)
		}
		// One at a time, so the next to be accepted is this one's.
		ln.SetDeadline(time.Now().Add(20 * time.Second))
		accepted, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			server := make(chan lab.Outcome, 1)
			go func() { server <- lab.Run(context.Background(), accepted, s.script("server")) }()
			client := lab.Run(context.Background(), conn, s.script("client"))
			results <- result{client, <-server, s}
		})
	}
	all.Wait()
	close(results)
	var bytes int64
	ends := map[string]int{}
	for res := range results {
		bytes += res.client.Read + res.server.Read
		ends[res.stream.ender]++
		ev := r.of(t, res.client.Local)
		if ev == nil {
			continue
		}
		if err := res.stream.fault(res.client, res.server, ev); err != nil {
			t.Errorf("seed %d: %+v: %v\nclient: %v\nserver: %v", res.stream.seed, res.stream, err, res.client, res.server)
		}
	}
	t.Logf("%d MB over %d connections: %d ended with FINs, %d reset by the client, %d by the server",
		bytes>>20, connections, ends[""], ends["client"], ends["server"])
	r.Close()
	ln.Close()
	wait(t, "descriptors", func() error {
		if now := open(t); !maps.Equal(now, before) {
			return fmt.Errorf("before: %v, after: %v", before, now)
		}
		return nil
	})
	wait(t, "goroutines", func() error { return goleak.Find(goroutines) })
}

// open counts what this process has open, by kind.
func open(t *testing.T) map[string]int {
	t.Helper()
	kinds, err := openFiles()
	if err != nil {
		t.Fatal(err)
	}
	return kinds
}

// wait is for what comes a little later.
func wait(t *testing.T, what string, is func() error) {
	t.Helper()
	var err error
	for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(5 * time.Millisecond) {
		if err = is(); err == nil {
			return
		}
	}
	t.Errorf("%s: %v", what, err)
}
