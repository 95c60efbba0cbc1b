package relay

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"whyreset/proxy/intercept"
	"whyreset/proxy/kernel"
)

// dialFromPort connects from a port that others may have in use towards other destinations.
func dialFromPort(t *testing.T, from, to netip.AddrPort) *net.TCPConn {
	t.Helper()
	conn, err := tryFromPort(from, to)
	if err != nil {
		t.Fatal(err)
	}
	return bounded(t, conn)
}

func tryFromPort(from, to netip.AddrPort) (*net.TCPConn, error) {
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(from), Timeout: 20 * time.Second, Control: func(_, _ string, raw syscall.RawConn) error {
		return errors.Join(raw.Control(func(fd uintptr) { syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1) }))
	}}
	dialer.SetMultipathTCP(false)
	conn, err := dialer.Dial("tcp", to.String())
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// freePort is one from which to dial: taken by nobody a moment ago.
func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	ln := listen(t)
	defer ln.Close()
	return address(ln)
}

// comeBack has a client leave bytes behind that the server does not take, and come back from the same port. It returns the
// two servers' ends; without a second one, the client was refused.
func comeBack(t *testing.T, s net.Listener, from, first, again netip.AddrPort, refused bool) (old, fresh *net.TCPConn) {
	t.Helper()
	client := dialFromPort(t, from, first)
	old = accept(t, s)
	if got := old.RemoteAddr().(*net.TCPAddr).AddrPort(); got != from {
		t.Fatalf("the server saw %v, want the client's own %v: the test has not made its case", got, from)
	}
	client.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	if _, err := io.CopyN(client, endless{}, 1<<30); err == nil {
		t.Fatal("the server, which reads nothing, took 1 GiB")
	}
	reset(t, client)
	client = dialFromPort(t, from, again)
	if refused {
		wantEnd(t, client, "", syscall.ECONNRESET)
		return old, nil
	}
	write(t, client, "hello")
	fresh = accept(t, s)
	wantRead(t, fresh, "hello")
	client.Close()
	wantEnd(t, fresh, "", nil)
	fresh.Close()
	return old, fresh
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

func TestClientComesBack(t *testing.T) {
	t.Parallel()
	const rest = " d:data d:fin !u:passed-fin u:fin !d:closed !u:closed"
	for _, test := range []struct {
		name        string
		on          intercept.OnConflict
		old, fresh  string
		same, fully bool // the second server sees the client's own port; the first gets all
	}{
		{"abort-old", intercept.AbortOld, "d:connected u:connected d:data d:ECONNRESET !u:client-back !u:passed-reset",
			"d:connected !u:aborted-old u:connected" + rest, true, false},
		{"other-port", intercept.OtherPort, "d:connected u:connected d:data d:ECONNRESET !u:passed-reset",
			"d:connected !u:other-port u:connected" + rest, false, true},
		{"refuse", intercept.Refuse, "d:connected u:connected d:data d:ECONNRESET !u:passed-reset",
			"d:connected !port-taken !d:passed-reset", false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := listen(t)
			l := prepare(t, Options{}, address(s))
			for _, loop := range l.loops {
				loop.listeners[0].Way = intercept.Way{Source: intercept.Client, OnConflict: test.on}
			}
			l.Start()
			from := freePort(t)
			old, fresh := comeBack(t, s, from, l.address, l.address, test.on == intercept.Refuse)
			if fresh != nil {
				if got := fresh.RemoteAddr().(*net.TCPAddr).AddrPort(); (got == from) != test.same || got.Addr() != from.Addr() {
					t.Errorf("the second server saw %v, the client is %v", got, from)
				}
			}
			n, err := io.Copy(io.Discard, struct{ io.Reader }{old})
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the first server got %d bytes and %v, want a reset", n, err)
			}
			stories := map[string]bool{}
			for range 2 {
				e := l.next()
				// Data read late is told of once more.
				stories[strings.Replace(inShort(e), "d:ECONNRESET d:data", "d:ECONNRESET", 1)] = true
				if moved := e.transfers[down].in; moved > 5 && test.fully && uint64(n) != moved {
					t.Errorf("the first server got %d of %d bytes", n, moved)
				}
			}
			if !stories[test.old] || !stories[test.fresh] {
				t.Errorf("got  %v\nwant %q\nand  %q", stories, test.old, test.fresh)
			}
		})
	}
}

// A connection that both have ended, and whose last bytes the server does not take, is aborted as our own doing: nobody is
// blamed for it.
func TestClientComesBackWhileClosing(t *testing.T) {
	t.Parallel()
	s := listen(t)
	l := prepare(t, Options{}, address(s))
	for _, loop := range l.loops {
		loop.listeners[0].Way = intercept.Way{Source: intercept.Client}
	}
	l.Start()
	from := freePort(t)
	client := dialFromPort(t, from, l.address)
	old := accept(t, s)
	old.CloseWrite() // first, so that the client's kernel keeps nothing
	wantEnd(t, client, "", nil)
	if _, err := io.CopyN(client, endless{}, 400_000); err != nil {
		t.Fatal(err)
	}
	client.Close()
	eventually(t, "the client's port to be free", func() bool {
		var err error
		if client, err = tryFromPort(from, l.address); err != nil && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Fatal(err)
		}
		return err == nil
	})
	bounded(t, client)
	fresh := accept(t, s)
	if got := fresh.RemoteAddr().(*net.TCPAddr).AddrPort(); got != from {
		t.Errorf("the second server saw %v, want %v", got, from)
	}
	if n, err := io.Copy(io.Discard, struct{ io.Reader }{old}); n == 400_000 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the first server got %d bytes and %v, want fewer than 400000 and a reset", n, err)
	}
	e := l.next()
	if got := story(e.Evidence()); !strings.Contains(got, " u:fin") || !strings.Contains(got, " d:fin") || !strings.HasSuffix(got, " !u:client-back !u:passed-reset") {
		t.Errorf("got %s", got)
	}
}

// The old leg may be another loop's: that one aborts it, and this one's other pairs do not wait.
func TestClientComesBackToAnotherLoop(t *testing.T) {
	t.Parallel()
	s := listen(t)
	l := prepare(t, Options{Loops: 2}, address(s))
	var at [2]netip.AddrPort // of a listener in one loop only
	for i, loop := range l.loops {
		fd, err := kernel.Listen(anyPort, true, kernel.Options{})
		if err != nil {
			t.Fatal(err)
		}
		at[i] = kernel.LocalAddr(fd)
		way := intercept.Way{Source: intercept.Client}
		if errno := loop.listen(Listener{Name: "one", Address: at[i], Target: l.target, Way: way}, fd); errno != 0 {
			t.Fatal(errno)
		}
	}
	l.Start()
	for i := range 2 {
		from := freePort(t)
		old, fresh := comeBack(t, s, from, at[i], at[1-i], false)
		if got := fresh.RemoteAddr().(*net.TCPAddr).AddrPort(); got != from {
			t.Errorf("the second server saw %v, want %v", got, from)
		}
		if n, err := io.Copy(io.Discard, struct{ io.Reader }{old}); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the first server got %d bytes and %v, want a reset", n, err)
		}
	}
}

// Only the pair of the very client that came back is aborted: one that has the port for another connection, or that has its
// slot now, goes on.
func TestWhoseLegIsAborted(t *testing.T) {
	s := step(t, Options{})
	other := &loop{relay: s.relay}
	client, server, p := s.connect()
	stale := owner{loop: s.loop, index: p.index, gen: p.gen - 1}
	other.ask(wish{stale, clientHere})
	s.loop.round(1000)
	another := &pair{listener: s.loop.listeners[0]}
	another.legs[down].remote = p.legs[up].local // whose port the proxy has taken for the first one
	if other.clear(another, p.legs[up].remote) {
		t.Error("the leg of another client's connection is to be aborted")
	}
	if p.stage != open {
		t.Fatal("the pair was ended")
	}
	write(t, client, "still there")
	s.until("bytes to come through", func() bool { return p.legs[up].out > 0 })
	wantRead(t, server, "still there")

	other.ask(wish{stale, clientHere})
	s.loop.round(0)
	if n := testing.AllocsPerRun(100, func() { other.ask(wish{stale, clientHere}); s.loop.round(0) }); n != 0 {
		t.Errorf("asking a loop makes %v allocations, want none", n)
	}
}

// A leg whose addresses the kernel has given away is not forgotten in place of the one that has them now.
func TestDialledAgain(t *testing.T) {
	var d dialled
	from, to := netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("192.0.2.2:80")
	first, second := owner{index: 1, gen: 1}, owner{index: 2, gen: 1}
	d.add(from, to, first)
	d.add(from, to, second)
	d.remove(from, to, first)
	if got, ok := d.find(from, to); !ok || got != second {
		t.Errorf("got %v, %v, want the second", got, ok)
	}
	d.remove(from, to, second)
	if _, ok := d.find(from, to); ok {
		t.Error("the leg is still there")
	}
}
