package watch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
)

var ways = map[string]func() (source, error){
	"raw tracepoints": func() (source, error) { return openPrograms() },
	"tracefs":         func() (source, error) { return openTracefs() },
}

// witness opens one that hears by that way, or skips where this user may not. Where root may not either, the reason given
// must be a known one, and nil says that nothing more can be asked of such a machine.
func witness(t testing.TB, way string) *Witness {
	t.Helper()
	w, err := witnessBy(way, ways[way])
	if err == nil {
		t.Cleanup(w.Close)
		return w
	}
	if os.Geteuid() != 0 || inner() {
		t.Skipf("%s: %v: %v", way, why(err), err)
	}
	t.Logf("this kernel does not let root trace it by %s: %v: %v", way, why(err), err)
	return nil
}

func checkUnwatched(t testing.TB, err error) {
	t.Helper()
	var no *Unwatched
	if !errors.As(err, &no) || !errors.Is(err, ErrUnwatched) {
		t.Fatalf("got the error %v (%T), want an Unwatched", err, err)
	}
	reasons := []string{notCapable, noBTF, notSupported} // of root on a machine that is whole
	switch {
	case os.Geteuid() != 0:
		reasons = []string{notRoot}
	case inner():
		reasons = []string{inUserNamespace}
	}
	if !slices.Contains(reasons, no.Why) || no.Err == nil {
		t.Fatalf("got the reason %q (%v), want one of %q and what came of it", no.Why, no.Err, reasons)
	}
}

// Every user learns why not, in words of the coverage.
func TestWitnessSaysWhyNot(t *testing.T) {
	w, err := OpenWitness()
	if err != nil {
		checkUnwatched(t, err)
		return
	}
	if !w.Active() || w.Way() == "" {
		t.Errorf("got active %v by %q, want it active by some way", w.Active(), w.Way())
	}
	w.Close()
	if _, coverage := w.Of(&Connection{Accepted: time.Now(), Ended: time.Now()}); coverage != "failed: closed" {
		t.Errorf("got coverage %q of a closed witness, want that it is closed", coverage)
	}
}

// A cut is a way to end a connection, and what the kernel says of it. The one who is cut stands in for the proxy.
type cut struct {
	name   string
	how    func(t testing.TB, peer, ours *net.TCPConn)
	reason string
	state  uint8
	by     string // the process whose call it was; empty: it answers a packet
}

const (
	tcpEstablished = 1
)

var cuts = []cut{
	{"abort", func(t testing.TB, peer, _ *net.TCPConn) {
		peer.SetLinger(0)
		peer.Close()
	}, evidence.ReasonState, tcpClose, processName()},
	{"close with bytes unread", func(t testing.TB, peer, ours *net.TCPConn) {
		ours.Write([]byte("never read"))
		awaitUnread(t, peer)
		peer.Close()
	}, evidence.ReasonAbortOnClose, tcpClose, processName()},
	{"data after close", func(t testing.TB, peer, ours *net.TCPConn) {
		peer.Close()
		if n, err := ours.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Fatalf("got %d bytes and error %v, want the end", n, err)
		}
		ours.Write([]byte("too late"))
	}, evidence.ReasonAbortOnData, tcpClose, ""},
}

func TestWitnessLoopback(t *testing.T) {
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			w := witness(t, way)
			if w == nil {
				return
			}
			for _, at := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1"} {
				for _, c := range cuts {
					t.Run(c.name+" "+at, func(t *testing.T) {
						ours, peer, began := pair(t, at)
						checkCut(t, w, c, began, ours, peer, false)
					})
				}
			}
		})
	}
}

// pair is a connection on loopback, and when it began. That of IPv4 written as IPv6 has an IPv6 socket on the peer's side.
func pair(t *testing.T, at string) (ours, peer *net.TCPConn, began time.Time) {
	t.Helper()
	ip, listen := netip.MustParseAddr(at), at
	if ip.Is4In6() {
		listen = "::"
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(listen, "0"))
	if err != nil {
		t.Skip("no IPv6 on this machine: ", err)
	}
	defer ln.Close()
	began = time.Now()
	dialled, err := net.Dial("tcp", netip.AddrPortFrom(ip.Unmap(), addrPort(ln.Addr()).Port()).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close() })
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	return dialled.(*net.TCPConn), accepted.(*net.TCPConn), began
}

// checkCut cuts a connection that is the upstream leg of one, and compares what the witness tells of it.
func checkCut(t *testing.T, w *Witness, c cut, began time.Time, ours, peer *net.TCPConn, foreign bool) {
	t.Helper()
	leg := Leg{Own: addrPort(ours.LocalAddr()), Far: addrPort(ours.RemoteAddr())}
	c.how(t, peer, ours)
	awaitError(t, ours)
	seen, coverage := w.Of(&Connection{Accepted: began, Ended: time.Now(), Up: leg})
	if coverage != evidence.Watched {
		t.Errorf("got coverage %q, want %q", coverage, evidence.Watched)
	}
	want := evidence.Kernel{Sent: true, From: evidence.Upstream, Reason: c.reason, State: c.state, Foreign: foreign, Process: c.by}
	if w.Way() == "tracefs" && told(t, seen, true).Process == "" {
		c.by, want.Process = "", "" // it knows a process's name only if that has slept since
	}
	switch c.by {
	case "":
	case processName():
		want.PID = uint32(os.Getpid())
	default: // a child that has ended
		want.PID = told(t, seen, true).PID
		if want.PID == 0 || want.PID == uint32(os.Getpid()) {
			t.Errorf("got PID %d for %s, want its own", want.PID, c.by)
		}
	}
	// The state of our own socket when it accepted the reset depends on what went before, and no rule reads it.
	accepted := evidence.Kernel{From: evidence.Upstream, State: told(t, seen, false).State}
	if fromTrace := w.Way() == "tracefs"; fromTrace != (accepted.State == 0) {
		t.Errorf("got state %d of the socket that accepted it, want it told, but by tracefs", accepted.State)
	}
	checkSeen(t, seen, evidence.Upstream, want, accepted)
}

// checkSeen compares all that was seen, in any order.
func checkSeen(t testing.TB, seen []evidence.Observation, leg evidence.Leg, want ...evidence.Kernel) {
	t.Helper()
	var got []string
	for _, o := range seen {
		if o.Leg != leg || o.At < 0 || o.At > time.Minute {
			t.Errorf("got %+v, want it on leg %v and just now", o, leg)
		}
		got = append(got, fmt.Sprintf("%+v", o.What))
	}
	var wanted []string
	for _, k := range want {
		wanted = append(wanted, fmt.Sprintf("%+v", k))
	}
	slices.Sort(got)
	slices.Sort(wanted)
	if !slices.Equal(got, wanted) {
		t.Errorf("got resets\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(wanted, "\n\t"))
	}
}

// told is what was told of the reset by its sender, or by who accepted it.
func told(t testing.TB, seen []evidence.Observation, sent bool) evidence.Kernel {
	t.Helper()
	for _, o := range seen {
		if k := o.What.(evidence.Kernel); k.Sent == sent {
			return k
		}
	}
	t.Errorf("got %v, want one reset with sent %v", seen, sent)
	return evidence.Kernel{}
}

func addrPort(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() }

// processName is what the kernel calls this process.
func processName() string {
	name := filepath.Base(os.Args[0])
	return name[:min(len(name), 15)]
}

func awaitUnread(t testing.TB, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	// Read waits for readability and leaves what is there.
	if err := raw.Read(func(fd uintptr) bool { return peek(fd) }); err != nil {
		t.Fatal(err)
	}
}

func awaitError(t testing.TB, c *net.TCPConn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	buffer := make([]byte, 100)
	for {
		_, err := c.Read(buffer)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil {
			t.Fatal("the connection was not cut")
		}
	}
}

func TestWitnessPortClosed(t *testing.T) {
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			w := witness(t, way)
			if w == nil {
				return
			}
			for _, at := range []string{"127.0.0.1", "::1"} {
				t.Run(at, func(t *testing.T) { checkPortClosed(t, w, at) })
			}
		})
	}
}

func checkPortClosed(t *testing.T, w *Witness, at string) {
	_, server := bound(t, netip.MustParseAddr(at))
	began := time.Now()
	own := refused(t, server)
	seen, coverage := w.Of(&Connection{Accepted: began, Ended: time.Now(), Up: Leg{Own: own, Far: server}})
	if coverage != evidence.Watched {
		t.Errorf("got coverage %q, want %q", coverage, evidence.Watched)
	}
	checkSeen(t, seen, evidence.Upstream,
		evidence.Kernel{Sent: true, From: evidence.Upstream, Reason: evidence.ReasonNoSocket},
		evidence.Kernel{From: evidence.Upstream, State: told(t, seen, false).State})
}

// The peer is in a network namespace of its own, as in a container, and so is the proxy.
func TestWitnessNamespaces(t *testing.T) {
	w := witness(t, "raw tracepoints")
	if w == nil {
		return
	}
	n := newLab(t, lab.Netns)
	if err := n.Client.Do(func() (err error) { w.own, err = networkNamespace(); return err }); err != nil {
		t.Fatal(err)
	}
	kill := cut{"socket destroyed", func(t testing.TB, peer, _ *net.TCPConn) {
		needLab(t, lab.SS)
		if n, err := n.Server.KillSockets("sport", "=", fmt.Sprint(addrPort(peer.LocalAddr()).Port())); err != nil || n == 0 {
			t.Fatalf("got %d sockets destroyed and error %v, want the one", n, err)
		}
	}, evidence.ReasonState, tcpEstablished, "ss"}
	for _, at := range []netip.Addr{n.Server.Addr4(), n.Server.Addr6()} {
		for _, c := range append(slices.Clone(cuts), kill) {
			t.Run(fmt.Sprint(c.name, " ", at), func(t *testing.T) {
				ours, peer, began := labPair(t, n, at)
				checkCut(t, w, c, began, ours, peer, true)
			})
		}
	}
}

// labPair is a connection from the lab's client to its server, and when it began.
func labPair(t *testing.T, n *lab.Net, at netip.Addr) (ours, peer *net.TCPConn, began time.Time) {
	t.Helper()
	ln, err := n.Server.Listen("tcp", netip.AddrPortFrom(at, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return meet(t, n, addrPort(ln.Addr()), ln)
}

// meet connects from the lab's client to where the listener is met.
func meet(t *testing.T, n *lab.Net, to netip.AddrPort, ln net.Listener) (ours, peer *net.TCPConn, began time.Time) {
	t.Helper()
	began = time.Now()
	dialled, err := n.Client.Dial(context.Background(), "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close() })
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	return dialled.(*net.TCPConn), accepted.(*net.TCPConn), began
}
