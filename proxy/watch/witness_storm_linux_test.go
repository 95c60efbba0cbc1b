package watch

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"whyreset/diagnose/evidence"
)

// Addresses of loopback that nobody else on this machine uses, to know the storm's resets by.
var (
	stormFrom = netip.MustParseAddr("127.77.0.1")
	stormTo   = netip.MustParseAddr("127.77.0.2")
)

// storm makes so many resets, each of which the kernel tells of twice: when it is made, and when it is accepted.
func storm(t testing.TB, resets int) {
	t.Helper()
	_, closed := bound(t, stormTo)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: stormFrom.AsSlice()}}
	const atOnce = 4
	var all sync.WaitGroup
	for i := range atOnce {
		all.Go(func() {
			for range (resets + i) / atOnce {
				if c, err := dialer.Dial("tcp", closed.String()); err == nil {
					c.Close()
					t.Error("got a connection to a closed port")
				}
			}
		})
	}
	all.Wait()
}

// ofStorm counts what was heard of it.
func (w *Witness) ofStorm() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listen()
	ip := end{addr: stormTo.As16()}.addr
	for i := range w.heard.events {
		if w.heard.events[i].from.addr == ip {
			n++
		}
	}
	return n
}

// At 5,000 resets in a second, or however few more this machine makes, each is heard.
func TestWitnessStorm(t *testing.T) {
	const resets = 5000
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			w := witness(t, way)
			if w == nil {
				return
			}
			began := time.Now()
			storm(t, resets)
			took := time.Since(began)
			heard, lost := w.ofStorm(), w.Lost()
			t.Logf("%d resets in %v: heard %d times, %d lost", resets, took, heard, lost)
			if heard+int(lost) < 2*resets || lost == 0 && heard != 2*resets {
				t.Errorf("got %d heard and %d lost, want %d in all", heard, lost, 2*resets)
			}
			if lost != 0 && took > time.Second {
				t.Errorf("got %d lost at only %d resets in %v, want none", lost, resets, took)
			}
		})
	}
}

// Nobody drains, as on a machine that has no time for it: what did not fit in the kernel's buffer is told, in all and in the
// coverage of those connections whose resets may be among it.
func TestWitnessStarved(t *testing.T) {
	const resets = 9000
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			w := witness(t, way)
			if w == nil {
				return
			}
			before := &Connection{Accepted: time.Now().Add(-time.Hour), Ended: time.Now().Add(-time.Minute)}
			w.mu.Lock()
			storm(t, resets)
			w.mu.Unlock()
			heard, lost := w.ofStorm(), w.Lost()
			t.Logf("%d resets: heard %d times, %d lost", resets, heard, lost)
			if lost == 0 || heard == 0 || heard+int(lost) < 2*resets {
				t.Errorf("got %d heard and %d lost, want some of each and %d in all", heard, lost, 2*resets)
			}
			during := &Connection{Accepted: time.Now().Add(-time.Hour), Ended: time.Now()}
			if _, coverage := w.Of(during); !strings.HasSuffix(coverage, " resets were too many to hear") {
				t.Errorf("got coverage %q of a connection that ended in the storm, want that resets were lost", coverage)
			}
			if _, coverage := w.Of(before); coverage != evidence.Watched {
				t.Errorf("got coverage %q of a connection that ended before, want %q", coverage, evidence.Watched)
			}
		})
	}
}
