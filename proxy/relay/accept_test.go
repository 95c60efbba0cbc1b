package relay

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

// full is a process without a free descriptor.
type full struct {
	limit syscall.Rlimit
	taken []int
}

// fillDescriptors leaves this process no descriptor until free is called.
func fillDescriptors(t *testing.T) *full {
	t.Helper()
	f := &full{}
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &f.limit); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.free)
	for {
		fd, err := syscall.Dup(0)
		if err != nil {
			break
		}
		f.taken = append(f.taken, fd)
		if len(f.taken) == 20 { // enough; what lies lower is taken too, so the limit can come down to here
			few := f.limit
			few.Cur = uint64(fd) + 1
			if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
				t.Fatal(err)
			}
		}
	}
	return f
}

func (f *full) free() {
	syscall.Setrlimit(syscall.RLIMIT_NOFILE, &f.limit) // first, so that what is accepted can be dialled for
	for _, fd := range f.taken {
		syscall.Close(fd)
	}
	f.taken = nil
}

// Without descriptors the listener pauses, says so once, and serves those who waited when there are some again. When all
// has gone well for a while it says that, too.
func TestAcceptWithoutDescriptors(t *testing.T) {
	l := prepare(t, Options{Loops: 1}, echo(t))
	var clients []*net.TCPConn
	for range 3 {
		clients = append(clients, dial(t, l.address))
	}
	full := fillDescriptors(t)
	l.Start()
	var n Notice
	select {
	case n = <-l.notices:
	case <-time.After(20 * time.Second):
		t.Fatal("in vain: waited for a notice")
	}
	if n.Listener != "test" || n.Errno != syscall.EMFILE || n.Pause != firstPause {
		t.Errorf("got %+v", n)
	}
	time.Sleep(4 * firstPause) // for more tries, each of which must be silent
	full.free()
	for _, c := range clients {
		write(t, c, "hello")
		wantRead(t, c, "hello")
		c.Close()
		l.wantStory("d:connected u:connected d:data u:data d:fin !u:passed-fin u:fin !d:closed !u:closed")
	}
	time.Sleep(longPause) // without trouble
	for len(l.notices) == 0 {
		dial(t, l.address).Close()
		l.next()
	}
	if n := <-l.notices; n != (Notice{Listener: "test"}) {
		t.Errorf("got another notice: %+v, want one that it accepts again", n)
	}
}

// A paused listener costs nothing: no event comes, and the loop sleeps until the pause is over.
func TestPauseIsQuiet(t *testing.T) {
	s := step(t, Options{})
	client := dial(t, s.address)
	full := fillDescriptors(t)
	s.loop.round(1000)
	if got, most := s.loop.patience(), int(firstPause/time.Millisecond)+1; got < most-30 || got > most {
		t.Errorf("the loop would sleep for %d ms, want about %d", got, most)
	}
	if n := s.loop.poll.Wait(s.loop.batch[:], 0); n != 0 {
		t.Errorf("got %d events of a paused listener", n)
	}
	full.free()
	s.until("the one who waited", func() bool { return s.relay.Active() == 1 })
	client.Close()
}

// A relay whose target is itself refuses the connection, and the one that comes back has no story of its own.
func TestLoopRefused(t *testing.T) {
	t.Parallel()
	l := prepare(t, Options{Loops: 1})
	l.target.Set([]netip.AddrPort{l.address})
	l.Start()
	wantRefused(t, l.address)
	if got := story(l.next().Evidence()); !strings.HasSuffix(got, " !looped !d:passed-reset") {
		t.Errorf("got %s", got)
	}
	eventually(t, "the connection that came back to end", func() bool { return l.Active() == 0 })
	if n := len(l.ended); n > 0 {
		t.Errorf("%d more connections are told, want none: %s", n, story(l.next().Evidence()))
	}
}

// A connection with the addresses of an upstream leg is refused also when the leg's pair does not see to that, and then has a
// story of its own.
func TestLoopOfNobody(t *testing.T) {
	t.Parallel()
	l := prepare(t, Options{}, echo(t))
	from := freePort(t)
	l.dialled.add(from, l.address, owner{loop: l.loops[0], index: 0, gen: lastGen})
	l.loops[0].newPair().stage = free // so that there is a slot to look at
	l.active.Add(-1)
	l.Start()
	c := dialFromPort(t, from, l.address)
	wantEnd(t, c, "", syscall.ECONNRESET)
	l.wantStory("d:connected !refused !d:passed-reset")
}

// With several loops one may accept a connection a moment before another has written down that it is ours. Then the
// next hop finds it. However many there are, one story is told.
func TestLoopRefusedByManyLoops(t *testing.T) {
	t.Parallel()
	l := prepare(t, Options{Loops: 4})
	l.target.Set([]netip.AddrPort{l.address})
	l.Start()
	for range 50 {
		wantRefused(t, l.address)
	}
	eventually(t, "all to end", func() bool { return l.Active() == 0 })
	if hops := l.sequence.Load(); hops < 100 || hops > 250 {
		t.Errorf("50 connections became %d, want 100 and few more", hops)
	}
	for range 50 {
		if got := story(l.next().Evidence()); !strings.Contains(got, "!looped") {
			t.Errorf("got %s", got)
		}
	}
	time.Sleep(2 * gather) // what is told is told by then
	if n := len(l.ended); n > 0 {
		t.Errorf("%d more connections are told, want none: %s", n, story(l.next().Evidence()))
	}
}

// Those who wait in the queue when the listener is closed are served.
func TestStopAccepting(t *testing.T) {
	t.Parallel()
	const waiting = 300 // more than one batch of events
	l := prepare(t, Options{}, echo(t))
	var clients []*net.TCPConn
	for range waiting {
		clients = append(clients, dial(t, l.address))
	}
	l.StopAccepting() // first of all when the loops run
	if !l.Accepting() {
		t.Error("got closed listeners before the loops run")
	}
	l.Start()
	for _, c := range clients {
		write(t, c, "hello")
		c.CloseWrite()
		wantEnd(t, c, "hello", nil)
	}
	if conn, err := net.Dial("tcp", l.address.String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("afterwards: got %v, %v, want it refused", conn, err)
	}
	eventually(t, "no listener to be open", func() bool { return !l.Accepting() })
}

func TestTakenPort(t *testing.T) {
	t.Parallel()
	first := prepare(t, Options{})
	listen := func() error {
		second, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		_, err = second.Listen(Listener{Address: first.address, Target: NewTarget("")})
		return err
	}
	if err := listen(); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v, want EADDRINUSE", err)
	}
	first.Close() // never started
	if err := listen(); err != nil {
		t.Errorf("after Close: got %v", err)
	}
	first.Close()
	first.Abort()
}

func TestNoAddress(t *testing.T) {
	t.Parallel()
	l := start(t, Options{})
	wantRefused(t, l.address)
	l.wantStory("d:connected !unresolved !d:passed-reset")
	<-l.target.Failed()
}
