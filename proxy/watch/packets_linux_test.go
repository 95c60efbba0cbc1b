package watch

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"whyreset/diagnose/evidence"
)

const patience = 30 * time.Second

// packets watches loopback listeners, or skips where this user may not.
func packets(t testing.TB, o Options, listening ...net.Listener) *Packets {
	t.Helper()
	for _, ln := range listening {
		o.Listening = append(o.Listening, ln.Addr().(*net.TCPAddr).AddrPort())
	}
	w, err := OpenPackets(o)
	if errors.Is(err, syscall.EPERM) {
		t.Skip("no CAP_NET_RAW")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func listen(t testing.TB, network, at string) net.Listener {
	t.Helper()
	ln, err := net.Listen(network, at)
	if err != nil {
		t.Skipf("%s on this machine: %v", network, err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// accepted is a connection to a listener of ours: its client, our end, and what to ask the watch for.
type accepted struct {
	client, ours *net.TCPConn
	dialled      time.Time
	Connection
}

func accept(t testing.TB, ln net.Listener, from *net.TCPAddr) *accepted {
	t.Helper()
	dialer := net.Dialer{Timeout: patience}
	if from != nil {
		dialer.LocalAddr = from
	}
	dialled := time.Now()
	client, err := dialer.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ours, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	a := &accepted{client: client.(*net.TCPConn), ours: ours.(*net.TCPConn), dialled: dialled}
	t.Cleanup(func() { client.Close(); ours.Close() })
	for _, c := range []net.Conn{client, ours} {
		c.SetDeadline(time.Now().Add(patience))
	}
	a.Accepted = time.Now()
	a.Down = ownLeg(ours)
	return a
}

func ownLeg(ours net.Conn) Leg {
	return Leg{Own: unmapped(ours.LocalAddr()), Far: unmapped(ours.RemoteAddr())}
}

func unmapped(a net.Addr) netip.AddrPort {
	at := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// exchange sends a byte each way.
func (a *accepted) exchange(t testing.TB) {
	t.Helper()
	for _, way := range [][2]net.Conn{{a.client, a.ours}, {a.ours, a.client}} {
		if _, err := way[0].Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(way[1], make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

// abort resets the connection from the client's side and waits until we heard of it.
func (a *accepted) abort(t testing.TB) {
	t.Helper()
	a.client.SetLinger(0)
	a.client.Close()
	if _, err := a.ours.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got %v, want a reset", err)
	}
	a.Ended = time.Now()
}

// of are the packets that the watch tells of, in order.
func of(t testing.TB, w *Packets, c *Connection) (all []evidence.Packet, coverage string) {
	t.Helper()
	seen, coverage := w.Of(c)
	for _, o := range seen {
		if p, ok := o.What.(evidence.Packet); ok {
			all = append(all, p)
		}
	}
	return all, coverage
}

func TestPacketsOfALoopbackConnection(t *testing.T) {
	for network, at := range map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"} {
		t.Run(network, func(t *testing.T) {
			ln := listen(t, network, at)
			w := packets(t, Options{}, ln)
			a := accept(t, ln, nil)
			a.exchange(t)
			a.abort(t)
			seen, coverage := w.Of(&a.Connection)
			if coverage != evidence.Watched {
				t.Errorf("got coverage %q, want it watched", coverage)
			}
			var story []string
			var streams []evidence.Stream
			for _, o := range seen {
				if o.Leg != evidence.Downstream {
					t.Errorf("an observation is of leg %v: %+v", o.Leg, o)
				}
				switch p := o.What.(type) {
				case evidence.Packet:
					story = append(story, fmt.Sprintf("%v %v %v", p.From, p.Flags, p.Payload))
					if p.IPv6 != (network == "tcp6") || p.TTL == 0 || p.Sampled || p.Repeat || !p.HasTimestamp && p.Flags&evidence.RST == 0 {
						t.Errorf("got %+v", p)
					}
					if p.Flags&evidence.SYN == 0 && p.Scale < 0 {
						t.Errorf("the scale of the window is not known: %+v", p)
					}
				case evidence.Stream:
					streams = append(streams, p)
				}
			}
			// The answer may acknowledge the byte, or an acknowledgement of its own come first: those count nothing here.
			got := strings.ReplaceAll(strings.Join(story, ", "), "proxy A 0, ", "")
			got = strings.ReplaceAll(got, "downstream A 0, ", "")
			if want := "downstream S 0, proxy SA 0, downstream PA 1, proxy PA 1, downstream RA 0"; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if len(streams) != 4 { // both directions, at the reset and at the end
				t.Fatalf("got %d accounts, want 4", len(streams))
			}
			for _, s := range streams {
				if s.Bytes != 1 || s.Missing != 0 || s.HandshakeRTT == 0 && s.From == evidence.Downstream {
					t.Errorf("got %+v, want the one byte", s)
				}
			}
		})
	}
}

// What has nothing to do with our listener costs nothing: it does not get past the kernel's filter.
func TestPacketsOfOthersAreNotSeen(t *testing.T) {
	ours, other := listen(t, "tcp4", "127.0.0.1:0"), listen(t, "tcp4", "127.0.0.1:0")
	w := packets(t, Options{}, ours)
	accept(t, other, nil).exchange(t)
	accept(t, ours, nil).exchange(t)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drain()
	if len(w.table.flows) != 1 {
		t.Errorf("got %d flows, want the one to our listener", len(w.table.flows))
	}
}

func TestUpstreams(t *testing.T) {
	up, other := listen(t, "tcp4", "127.0.0.1:0"), listen(t, "tcp4", "127.0.0.1:0")
	w := packets(t, Options{})
	for i := range maxEndpoints + 2 { // one too many to look for them all
		w.Upstream(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 9))
	}
	w.Upstream(unmapped(up.Addr()))
	for range 2 {
		a := accept(t, up, nil) // roles exchanged: the client is us
		a.exchange(t)
		c := Connection{Accepted: a.dialled, Ended: time.Now(), Up: ownLeg(a.client)}
		all, coverage := of(t, w, &c)
		if coverage != evidence.Watched || len(all) < 4 || all[0].Flags != evidence.SYN || all[0].From != evidence.NoLeg || all[1].From != evidence.Upstream {
			t.Errorf("got %q and %+v, want the leg from our SYN on", coverage, all)
		}
	}
	accept(t, other, nil).exchange(t)
	w.mu.Lock()
	flows := len(w.table.flows)
	w.mu.Unlock()
	if flows != 2 {
		t.Errorf("got %d flows, want 2", flows)
	}
	for port := range uint16(2 * maxEndpoints) { // too many for anything but all TCP
		w.Port(1000 + port)
	}
	w.Port(other.Addr().(*net.TCPAddr).AddrPort().Port())
	a := accept(t, other, nil)
	a.exchange(t)
	if all, coverage := of(t, w, &Connection{Accepted: a.dialled, Ended: time.Now(), Up: ownLeg(a.client)}); len(all) < 4 || coverage == "" {
		t.Errorf("got %q and %+v, want the leg", coverage, all)
	}
}

// A client comes back from its port: each connection has its own packets, whenever it is asked for.
func TestFourTupleUsedAgain(t *testing.T) {
	ln := listen(t, "tcp4", "127.0.0.1:0")
	w := packets(t, Options{}, ln)
	from := net.TCPAddrFromAddrPort(unmapped(listen(t, "tcp4", "127.0.0.1:0").Addr()))
	from.IP = net.IPv4(127, 0, 0, 2)
	var all []*accepted
	for range 3 {
		a := accept(t, ln, from)
		a.exchange(t)
		a.abort(t)
		all = append(all, a)
	}
	isns := map[uint32]bool{}
	for i, a := range all {
		seen, coverage := of(t, w, &a.Connection)
		if coverage != evidence.Watched || len(seen) < 5 || seen[0].Flags != evidence.SYN {
			t.Fatalf("connection %d: got %q and %+v, want it from its SYN on", i, coverage, seen)
		}
		isns[seen[0].Seq] = true
		if last := seen[len(seen)-1]; last.Flags&evidence.RST == 0 || last.Seq != seen[0].Seq+2 {
			t.Errorf("connection %d: got the end %+v, want its own reset", i, last)
		}
	}
	if len(isns) != 3 {
		t.Errorf("got %d first SYNs of 3 connections", len(isns))
	}
}

// What earlier connections showed of an address is told of later ones.
func TestBaseline(t *testing.T) {
	ln := listen(t, "tcp4", "127.0.0.1:0")
	w := packets(t, Options{}, ln)
	for i := range 2 {
		a := accept(t, ln, nil)
		a.exchange(t)
		a.abort(t)
		seen, _ := w.Of(&a.Connection)
		n := 0
		for _, o := range seen {
			if b, ok := o.What.(evidence.Baseline); ok {
				n++
				if b.Of != evidence.Downstream || b.TTL == 0 || b.RTT <= 0 || b.Age < 0 || b.Age > patience {
					t.Errorf("got %+v", b)
				}
			}
		}
		if n != i {
			t.Errorf("connection %d: got %d baselines, want %d", i, n, i)
		}
	}
}

func TestNotPermitted(t *testing.T) {
	withoutNetRaw(t, func() {
		w, err := OpenPackets(Options{})
		if !errors.Is(err, syscall.EPERM) {
			t.Errorf("got %v, %v, want EPERM", w, err)
		}
	})
}

// withoutNetRaw runs fn on a thread that has not the right.
func withoutNetRaw(t testing.TB, fn func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var caps [2]unix.CapUserData
		err := unix.Capget(&h, &caps[0])
		caps[0].Effective &^= 1 << unix.CAP_NET_RAW
		if err == nil {
			err = unix.Capset(&h, &caps[0])
		}
		if err == nil {
			fn()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// A ring that nobody empties in time loses packets, and says so of the connections of that time.
func TestStarved(t *testing.T) {
	ln := listen(t, "tcp4", "127.0.0.1:0")
	w := packets(t, Options{Frames: leastFrames}, ln)
	before := accept(t, ln, nil)
	before.exchange(t)
	before.abort(t)
	if _, coverage := w.Of(&before.Connection); coverage != evidence.Watched {
		t.Errorf("before: got coverage %q", coverage)
	}
	a := accept(t, ln, nil)
	w.mu.Lock() // nobody can look into the ring
	for range leastFrames {
		a.exchange(t)
	}
	w.mu.Unlock()
	a.abort(t)
	if _, coverage := w.Of(&a.Connection); coverage != ringFull {
		t.Errorf("got coverage %q, want %q", coverage, ringFull)
	}
	if lost := w.Lost(); lost == 0 {
		t.Error("no packet was lost")
	}
	time.Sleep(2 * gather) // the look in which the loss was found is over for certain
	after := accept(t, ln, nil)
	after.exchange(t)
	after.abort(t)
	if _, coverage := w.Of(&after.Connection); coverage != evidence.Watched {
		t.Errorf("after: got coverage %q", coverage)
	}
}

// A watch that has ended harms nobody, says so, and leaves nothing behind.
func TestEnded(t *testing.T) {
	ln := listen(t, "tcp4", "127.0.0.1:0")
	leaks := goleak.IgnoreCurrent()
	w := packets(t, Options{}, ln)
	a := accept(t, ln, nil)
	a.exchange(t)
	w.Close()
	w.Close()
	w.Upstream(netip.MustParseAddrPort("192.0.2.1:1"))
	w.Port(2)
	a.abort(t)
	if seen, coverage := w.Of(&a.Connection); coverage != ended {
		t.Errorf("got coverage %q and %v, want %q", coverage, seen, ended)
	}
	goleak.VerifyNone(t, leaks)
}

// Connections that were there before the watch are told as such.
func TestBeganWithin(t *testing.T) {
	ln := listen(t, "tcp4", "127.0.0.1:0")
	a := accept(t, ln, nil)
	w := packets(t, Options{}, ln)
	a.exchange(t)
	a.abort(t)
	all, coverage := of(t, w, &a.Connection)
	if coverage != beganWithin || len(all) < 3 {
		t.Errorf("got coverage %q and %+v, want what there was and %q", coverage, all, beganWithin)
	}
}

func TestNoAllocationForAPacket(t *testing.T) {
	ln := listen(t, "tcp4", "127.0.0.1:0")
	w := packets(t, Options{}, ln)
	accept(t, ln, nil).exchange(t)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drain()
	f := segment(ln.Addr().(*net.TCPAddr).AddrPort().Port())
	w.take(&f, w.table.live.newest.last)
	if n := testing.AllocsPerRun(100, func() { w.take(&f, w.table.live.newest.last) }); n != 0 {
		t.Errorf("got %v allocations for a packet, want none", n)
	}
}

// segment is a packet of 100 bytes to that port.
func segment(port uint16) frame {
	b := make([]byte, 40)
	copy(b, []byte{0x45, 0, 0, 140, 1, 2, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 127, 0, 0, 1, 0x9c, 0x40, byte(port >> 8), byte(port), 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 1, 0})
	return frame{data: b, wire: 140, device: 7}
}

func BenchmarkTake(b *testing.B) {
	w := &Packets{start: time.Now(), table: newTable()}
	w.concern.know(endpoint{port: 80, listening: true})
	f := segment(80)
	b.ReportAllocs()
	for b.Loop() {
		w.take(&f, time.Second)
	}
}

func TestSizeOfAFlow(t *testing.T) {
	const most = 2560 // what table.go says of it
	if n := unsafe.Sizeof(flow{}); n > most {
		t.Errorf("a flow takes %d bytes, want %d at most", n, most)
	}
}

// Where clients choose whom they reach, ports are not known before: all is seen until the first is, and from then on the beginning
// of every connection, and its coverage says that more of it was not.
func TestPortsAreChosenByClients(t *testing.T) {
	first, second, third := listen(t, "tcp4", "127.0.0.1:0"), listen(t, "tcp4", "127.0.0.1:0"), listen(t, "tcp4", "127.0.0.1:0")
	w := packets(t, Options{Transparent: true})
	a := accept(t, first, nil)
	w.Port(unmapped(first.Addr()).Port())
	a.exchange(t)
	a.abort(t)
	if all, coverage := of(t, w, &a.Connection); coverage != evidence.Watched || len(all) < 5 {
		t.Errorf("first port: got %q and %+v, want all of it", coverage, all)
	}
	b := accept(t, second, nil)
	w.Port(unmapped(second.Addr()).Port())
	b.exchange(t)
	b.abort(t)
	all, coverage := of(t, w, &b.Connection)
	if coverage != beganWithin || len(all) < 4 || all[0].Flags&evidence.SYN == 0 || all[len(all)-1].Flags&evidence.RST == 0 {
		t.Errorf("second port: got %q and %+v, want its SYN and its end, and %q", coverage, all, beganWithin)
	}
	c := accept(t, second, nil)
	c.exchange(t)
	c.abort(t)
	if all, coverage := of(t, w, &c.Connection); coverage != evidence.Watched || len(all) < 5 {
		t.Errorf("second port again: got %q and %+v, want all of it", coverage, all)
	}
	accept(t, third, nil).exchange(t)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drain()
	for k, f := range w.table.flows {
		if k.ownPort == unmapped(third.Addr()).Port() && f.packets[fromFar]+f.packets[fromUs] != 2 {
			t.Errorf("third port: got %v packets, want SYN and SYN-ACK", f.packets)
		}
	}
}

// When there are too many packets, samples are looked at, and what ends a connection is seen all the same. Afterwards all is as before.
func TestTooManyPackets(t *testing.T) {
	ln := listen(t, "tcp4", "127.0.0.1:0")
	w := packets(t, Options{}, ln)
	w.mu.Lock()
	w.pace.most = 20
	w.mu.Unlock()
	a := accept(t, ln, nil)
	sampling := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.concern.sample
	}
	for deadline := time.Now().Add(patience); !sampling(); a.exchange(t) {
		if time.Now().After(deadline) {
			t.Fatal("all packets are looked at, however many there are")
		}
	}
	for range 100 {
		a.exchange(t)
	}
	a.abort(t)
	all, coverage := of(t, w, &a.Connection)
	if coverage != sampled {
		t.Errorf("got coverage %q, want %q", coverage, sampled)
	}
	last := all[len(all)-1]
	if last.Flags&evidence.RST == 0 || !last.Sampled {
		t.Errorf("got %+v as the last packet, want the reset, and that others before it were not looked at", last)
	}
	for deadline := time.Now().Add(patience); sampling(); time.Sleep(gather) {
		if time.Now().After(deadline) {
			t.Fatal("only samples are looked at, however few packets there are")
		}
	}
	time.Sleep(2 * gather)
	b := accept(t, ln, nil)
	b.exchange(t)
	b.abort(t)
	if all, coverage := of(t, w, &b.Connection); coverage != evidence.Watched || len(all) < 5 || all[0].Sampled {
		t.Errorf("afterwards: got %q and %+v", coverage, all)
	}
}

func BenchmarkPacketsOf(b *testing.B) {
	ln := listen(b, "tcp4", "127.0.0.1:0")
	w := packets(b, Options{}, ln)
	a := accept(b, ln, nil)
	a.exchange(b)
	a.abort(b)
	b.ReportAllocs()
	for b.Loop() {
		w.Of(&a.Connection)
	}
}
