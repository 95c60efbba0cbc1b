package watch

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
)

// A listener that closes resets what waits in its queue: the call of a process, though it does not own those sockets.
func TestWitnessListenerClosed(t *testing.T) {
	w := witness(t, "raw tracepoints")
	if w == nil {
		return
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	ours, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	ln.Close()
	awaitError(t, ours.(*net.TCPConn))
	seen, _ := w.Of(&Connection{Accepted: began, Ended: time.Now(), Up: Leg{Own: addrPort(ours.LocalAddr()), Far: addrPort(ours.RemoteAddr())}})
	checkSeen(t, seen, evidence.Upstream,
		evidence.Kernel{Sent: true, From: evidence.Upstream, Reason: evidence.ReasonState, State: tcpClose, Process: processName(), PID: uint32(os.Getpid())},
		evidence.Kernel{From: evidence.Upstream, State: tcpEstablished})
}

// What the proxy does itself is told as its own.
func TestWitnessOwnResets(t *testing.T) {
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			w := witness(t, way)
			if w == nil {
				return
			}
			ours, peer, began := pair(t, "127.0.0.1")
			leg := Leg{Own: addrPort(ours.LocalAddr()), Far: addrPort(ours.RemoteAddr())}
			ours.SetLinger(0)
			ours.Close()
			awaitError(t, peer)
			seen, _ := w.Of(&Connection{Accepted: began, Ended: time.Now(), Down: leg})
			sent, accepted := told(t, seen, true), told(t, seen, false)
			checkSeen(t, seen, evidence.Downstream,
				evidence.Kernel{Sent: true, To: evidence.Downstream, Reason: evidence.ReasonState, State: tcpClose, Process: sent.Process, PID: sent.PID},
				evidence.Kernel{To: evidence.Downstream, State: accepted.State})
			if way != "tracefs" && sent.PID != uint32(os.Getpid()) {
				t.Errorf("got PID %d, want our own", sent.PID)
			}
		})
	}
}

// A timer makes a reset in whoever's time it goes off: no process is named.
func TestWitnessTimer(t *testing.T) {
	w := witness(t, "raw tracepoints")
	if w == nil {
		return
	}
	n := newLab(t, lab.NFT)
	t.Parallel()
	ours, peer, began := labPair(t, n, n.Server.Addr4())
	if err := n.Router.NFT("table inet silent { chain f { type filter hook forward priority 0; policy drop; }; }"); err != nil {
		t.Fatal(err)
	}
	peer.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 1})
	peer.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := peer.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("keepalive did not end the connection")
	}
	seen, _ := w.Of(&Connection{Accepted: began, Ended: time.Now(), Up: Leg{Own: addrPort(ours.LocalAddr()), Far: addrPort(ours.RemoteAddr())}})
	checkSeen(t, seen, evidence.Upstream, evidence.Kernel{Sent: true, From: evidence.Upstream,
		Reason: evidence.ReasonKeepaliveTimeout, State: tcpEstablished, Foreign: true})
}

// Kernels before 6.10 tell no reasons, and not of all resets; the coverage says so.
func TestWitnessWithoutReasons(t *testing.T) {
	if witness(t, "raw tracepoints") == nil {
		return
	}
	w, err := witnessBy("raw tracepoints", func() (source, error) {
		p, err := newPrograms()
		if err != nil {
			return nil, err
		}
		layout, err := runningLayout()
		if err != nil {
			return nil, err
		}
		layout.reason, layout.reasons = -1, nil
		return p, p.start(layout)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	_, server := bound(t, netip.MustParseAddr("127.0.0.1"))
	began := time.Now()
	own := refused(t, server)
	seen, coverage := w.Of(&Connection{Accepted: began, Ended: time.Now(), Up: Leg{Own: own, Far: server}})
	if want := "this kernel tells not of all resets (before 6.10)"; coverage != want {
		t.Errorf("got coverage %q, want %q", coverage, want)
	}
	checkSeen(t, seen, evidence.Upstream, evidence.Kernel{Sent: true, From: evidence.Upstream},
		evidence.Kernel{From: evidence.Upstream, State: told(t, seen, false).State})
}

// Both kinds are found by the connection they are of, among others that are reset at the same time from both sides.
func TestWitnessAmongOthers(t *testing.T) {
	w := witness(t, "raw tracepoints")
	if w == nil {
		return
	}
	const connections = 200
	type one struct {
		ours, peer *net.TCPConn
		began      time.Time
	}
	all := make([]one, connections)
	for i := range all {
		all[i].ours, all[i].peer, all[i].began = pair(t, "127.0.0.1")
	}
	cut := make(chan error, connections)
	for i, c := range all {
		go func() {
			by, other := c.peer, c.ours
			if i%2 == 1 {
				by, other = other, by
			}
			by.SetLinger(0)
			by.Close()
			other.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := other.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				cut <- fmt.Errorf("connection %d was not cut: %v", i, err)
			}
			cut <- nil
		}()
	}
	for range all {
		if err := <-cut; err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range all {
		seen, coverage := w.Of(&Connection{Accepted: c.began, Ended: time.Now(), Up: Leg{Own: addrPort(c.ours.LocalAddr()), Far: addrPort(c.ours.RemoteAddr())}})
		if coverage != evidence.Watched {
			t.Errorf("got coverage %q, want %q", coverage, evidence.Watched)
		}
		sent := told(t, seen, true)
		if ours := sent.From == evidence.NoLeg; len(seen) != 2 || ours != (i%2 == 1) || sent.PID != uint32(os.Getpid()) {
			t.Errorf("connection %d: got %+v, want one reset, sent by us %v", i, seen, i%2 == 1)
		}
	}
}

// BenchmarkOf is what one connection that was cut costs, the reset itself left out.
func BenchmarkOf(b *testing.B) {
	w := witness(b, "raw tracepoints")
	if w == nil {
		return
	}
	_, server := bound(b, netip.MustParseAddr("127.0.0.1"))
	began := time.Now()
	c := &Connection{Accepted: began, Ended: time.Now(), Down: Leg{Own: netip.MustParseAddrPort("127.0.0.1:1"), Far: netip.MustParseAddrPort("127.0.0.1:2")},
		Up: Leg{Own: refused(b, server), Far: server}}
	b.ReportAllocs()
	for b.Loop() {
		w.Of(c)
	}
}

// BenchmarkReset is a refused connection, unwatched and watched, what is heard taken in.
func BenchmarkReset(b *testing.B) {
	for _, way := range []string{"unwatched", "raw tracepoints", "tracefs"} {
		b.Run(way, func(b *testing.B) {
			if way != "unwatched" {
				if witness(b, way) == nil {
					return
				}
			}
			_, closed := bound(b, stormTo)
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: stormFrom.AsSlice()}}
			for b.Loop() {
				dialer.Dial("tcp", closed.String())
			}
		})
	}
}

// A packet for a connection that its host has forgotten meets a socket that listens: the reset bears the packet's addresses, which
// that socket does not have.
func TestWitnessListenerMet(t *testing.T) {
	w := witness(t, "raw tracepoints")
	if w == nil {
		return
	}
	n := newLab(t, lab.NFT, lab.SS)
	for _, at := range []netip.Addr{n.Server.Addr4(), n.Server.Addr6()} {
		t.Run(at.String(), func(t *testing.T) {
			ours, peer, began := labPair(t, n, at)
			if err := n.Server.NFT("table inet silent { chain o { type filter hook output priority 0; tcp flags rst drop; }; }"); err != nil {
				t.Fatal(err)
			}
			if _, err := n.Server.KillSockets("state", "established", "sport", "=", fmt.Sprint(addrPort(peer.LocalAddr()).Port())); err != nil {
				t.Fatal(err)
			}
			if err := n.Server.FlushNFT(); err != nil {
				t.Fatal(err)
			}
			ours.Write([]byte("still there?"))
			awaitError(t, ours)
			seen, _ := w.Of(&Connection{Accepted: began, Ended: time.Now(), Up: Leg{Own: addrPort(ours.LocalAddr()), Far: addrPort(ours.RemoteAddr())}})
			const tcpListen = 10
			want := evidence.Kernel{Sent: true, From: evidence.Upstream, Reason: evidence.ReasonFlags, State: tcpListen, Foreign: true}
			for _, o := range seen {
				if o.What == want {
					return
				}
			}
			t.Errorf("got %+v, want %+v among it", seen, want)
		})
	}
}
