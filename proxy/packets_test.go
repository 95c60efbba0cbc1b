package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"whyreset/config"
	"whyreset/diagnose/evidence"
	"whyreset/diagnose/record"
)

// abort resets a connection that waits for an answer, and returns its record.
func abort(t *testing.T, c net.Conn, log *told) *record.Connection {
	t.Helper()
	if _, err := c.Write([]byte("request")); err != nil {
		t.Fatal(err)
	}
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
	return next(t, log.ended)
}

func packetsOf(c *record.Connection, leg evidence.Leg, flags evidence.TCPFlags) (n int) {
	for _, o := range c.Evidence.Observations {
		if p, ok := o.What.(evidence.Packet); ok && o.Leg == leg && p.Flags&flags == flags {
			n++
		}
	}
	return n
}

func TestPacketsAreInTheRecord(t *testing.T) {
	s, log := start(t, func(*config.Config) {})
	if s.packets == nil {
		if c := abort(t, greeted(t, s), log); c.Evidence.Coverage.Packets == evidence.Watched || c.Evidence.Coverage.Packets == "" {
			t.Errorf("got coverage %q, want why packets are not watched", c.Evidence.Coverage.Packets)
		}
		t.Skip("packets cannot be watched here")
	}
	c := abort(t, greeted(t, s), log)
	if got := c.Evidence.Coverage.Packets; got != evidence.Watched {
		t.Errorf("got coverage %q, want %q", got, evidence.Watched)
	}
	for _, leg := range []evidence.Leg{evidence.Downstream, evidence.Upstream} {
		if syns, resets := packetsOf(c, leg, evidence.SYN), packetsOf(c, leg, evidence.RST); syns != 2 || resets != 1 {
			t.Errorf("leg %v: got %d packets with SYN and %d with RST, want 2 and 1", leg, syns, resets)
		}
	}
	at := time.Duration(0)
	for _, o := range c.Evidence.Observations {
		if o.At < at {
			t.Errorf("out of order: %+v after %v", o, at)
		}
		at = o.At
	}

	t.Run("a clean end does not wait for packets", func(t *testing.T) {
		greeted(t, s).Close()
		if c := next(t, log.ended); c.Evidence.Coverage.Packets != notNeeded || c.Verdict.Harmful() {
			t.Errorf("got coverage %q and %s, want %q", c.Evidence.Coverage.Packets, c.Verdict.Cause, notNeeded)
		}
	})
	t.Run("an ended watch harms nobody", func(t *testing.T) {
		conn := greeted(t, s)
		s.packets.Close()
		if got := abort(t, conn, log).Evidence.Coverage.Packets; got == evidence.Watched {
			t.Errorf("got coverage %q, want that it was not watched", got)
		}
		if got := abort(t, greeted(t, s), log).Evidence.Coverage.Packets; got == evidence.Watched {
			t.Errorf("got coverage %q, want that it was not watched", got)
		}
	})
}

func TestPacketsOff(t *testing.T) {
	s, log := start(t, func(c *config.Config) { c.Evidence.Packets = config.SwitchOff })
	if c := abort(t, greeted(t, s), log); c.Evidence.Coverage.Packets != "off" {
		t.Errorf("got coverage %q, want off", c.Evidence.Coverage.Packets)
	}
}

// Who asks for packets in so many words is told when they cannot be watched.
func TestPacketsOn(t *testing.T) {
	cfg := config.Defaults()
	cfg.Listeners = []config.Listener{{Name: "test", Address: "127.0.0.1:0", Upstream: "127.0.0.1:1"}}
	cfg.Complete()
	cfg.Evidence.Packets = config.SwitchOn
	s, err := New(cfg, newTold())
	if err == nil {
		s.Start()
		s.Stop(context.Background())
		return
	}
	var watch *WatchError
	if !errors.As(err, &watch) || !errors.Is(err, syscall.EPERM) || watch.Hint() == "" {
		t.Errorf("got %v, want a WatchError with EPERM and a hint", err)
	}
}

// A stop makes provisional verdicts final at once.
func TestStopDoesNotWaitForPackets(t *testing.T) {
	s, log := prepare(t, func(*config.Config) {})
	s.Start()
	c := greeted(t, s)
	c.Write([]byte("request"))
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
	for s.Active() > 0 {
		time.Sleep(time.Millisecond)
	}
	s.Stop(context.Background())
	select {
	case <-log.ended:
	default:
		t.Error("no record was there when Stop returned")
	}
}

// Too many that wait make the first ones final, none is lost.
func TestFinalsAreBounded(t *testing.T) {
	f := newFinals()
	now := time.Now()
	for i := range maxWaiting {
		if _, full := f.add(provisional{due: now.Add(time.Duration(i) * time.Second)}); full {
			t.Fatalf("full with %d, want room for %d", i, maxWaiting)
		}
	}
	over, full := f.add(provisional{due: now.Add(time.Hour)})
	if !full || !over.due.Equal(now) || f.early != 1 || len(f.waiting) != maxWaiting {
		t.Errorf("got %v due %v, %d early, want the first one to be final", full, over.due, f.early)
	}
	if p, ok := f.due(now.Add(time.Second)); !ok || !p.due.Equal(now.Add(time.Second)) {
		t.Errorf("got %v, %v, want the next", p.due, ok)
	}
	if p, ok := f.due(now.Add(time.Second)); ok {
		t.Errorf("got one due at %v too early", p.due)
	}
}

// Under a storm of resets every connection has its record, and its coverage says whether its packets were all seen.
func TestStormOfResets(t *testing.T) {
	s, log := start(t, func(*config.Config) {})
	const workers, each = 16, 125
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for range each {
				c, err := net.Dial("tcp", s.Addresses()["test"].String())
				if err != nil {
					t.Error(err)
					return
				}
				c.SetDeadline(time.Now().Add(20 * time.Second))
				if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
					t.Error(err)
				}
				c.Write([]byte("request"))
				c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}
		})
	}
	all.Wait()
	seen := map[uint64]bool{}
	for range workers * each {
		c := next(t, log.ended)
		if seen[c.Sequence] {
			t.Errorf("connection %d has two records", c.Sequence)
		}
		seen[c.Sequence] = true
		if c.Evidence.Coverage.Packets != evidence.Watched {
			continue
		}
		// The client's reset, and ours to the server if it was still there.
		if packetsOf(c, evidence.Downstream, evidence.RST) == 0 || packetsOf(c, evidence.Upstream, evidence.SYN) == 0 {
			t.Errorf("connection %d was watched, and its reset, or its upstream, was not: %+v", c.Sequence, c.Evidence)
		}
	}
}
