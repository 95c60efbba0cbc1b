package relay

import (
	"maps"
	"net"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"whyreset/diagnose/evidence"
)

// Close leaves no descriptor, no pipe and no goroutine; connections need no goroutine at all.
func TestNothingIsLeft(t *testing.T) {
	upstream := echo(t)
	start(t, Options{}, upstream).Close() // what the runtime keeps once it was used
	goroutines, before := goleak.IgnoreCurrent(), descriptors(t)
	l := start(t, Options{}, upstream)
	var clients []*net.TCPConn
	for i := range 40 {
		c := dial(t, l.address)
		clients = append(clients, c)
		write(t, c, "hello")
		wantRead(t, c, "hello")
		switch {
		case i == 0:
			fill(t, c) // both ways, since the echo comes back: pipes and buffers are in use
			reset(t, c)
		case i == 1:
			fill(t, c)
		case i%4 == 0:
			reset(t, c)
		case i%4 == 1:
			c.CloseWrite()
			wantEnd(t, c, "", nil)
		} // and half of them idle
	}
	eventually(t, "those that ended", func() bool { return l.Active() <= 22 })
	l.Close()
	if l.Active() != 0 {
		t.Errorf("%d pairs are alive", l.Active())
	}
	for _, c := range clients {
		c.Close()
	}
	eventually(t, "descriptors", func() bool { return maps.Equal(before, descriptors(t)) })
	eventually(t, "goroutines", func() bool { return goleak.Find(goroutines) == nil })
}

// A reporter that is too slow costs stories, which are counted, and never bytes.
func TestSlowReporter(t *testing.T) {
	s := step(t, Options{})
	const more = 5
	for range maxEnded - 1 {
		s.loop.ended = append(s.loop.ended, Ended{})
	}
	for range more + 1 {
		client, server, p := s.connect()
		write(t, client, "bytes")
		client.Close()
		server.CloseWrite()
		s.until("the end", func() bool { return p.stage == free })
		wantEnd(t, server, "bytes", nil)
	}
	if got := s.relay.Dropped(); got != more {
		t.Errorf("dropped: got %d, want %d", got, more)
	}
	if got := len(s.loop.ended); got != maxEnded {
		t.Errorf("kept: got %d, want %d", got, maxEnded)
	}
}

// What Ended says beside its evidence.
func TestEnded(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	l, client, server := through(t, Options{})
	write(t, client, "request")
	wantRead(t, server, "request")
	write(t, server, "an answer")
	wantRead(t, client, "an answer")
	reset(t, server)
	wantEnd(t, client, "", syscall.ECONNRESET)
	e := l.wantStory("d:connected u:connected u:data d:data u:ECONNRESET !d:passed-reset")
	if e.Number != 1 || e.Listener != "test" || e.Target != "upstream" {
		t.Errorf("got %d %q %q", e.Number, e.Listener, e.Target)
	}
	if late := e.Start.Sub(begin); late < -time.Millisecond || late > 20*time.Second || e.Duration <= 0 || e.Duration > time.Since(begin) {
		t.Errorf("got start %v after the test's, duration %v", late, e.Duration)
	}
	tcp := func(a interface{ String() string }) string { return a.String() }
	for what, pair := range map[string][2]string{
		"client":          {e.Downstream.Remote.String(), tcp(client.LocalAddr())},
		"listener":        {e.Downstream.Local.String(), tcp(client.RemoteAddr())},
		"upstream local":  {e.Upstream.Local.String(), tcp(server.RemoteAddr())},
		"upstream remote": {e.Upstream.Remote.String(), tcp(server.LocalAddr())},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %s, want %s", what, pair[0], pair[1])
		}
	}
	ev := e.Evidence()
	var last time.Duration
	snapshots := map[evidence.Leg]evidence.Snapshot{}
	transfers := map[evidence.Leg]evidence.Transfer{}
	for _, o := range ev.Observations {
		if o.At < last {
			t.Errorf("not in order of time: %v after %v", o.At, last)
		}
		last = o.At
		switch w := o.What.(type) {
		case evidence.Snapshot:
			snapshots[o.Leg] = w
		case evidence.Transfer:
			transfers[o.Leg] = w
		}
	}
	if d, u := transfers[evidence.Downstream], transfers[evidence.Upstream]; d.In != 7 || d.Out != 10 || u.In != 10 || u.Out != 7 || d.LastOut == 0 || u.LastIn == 0 {
		t.Errorf("got %+v and %+v", d, u)
	}
	if d, u := snapshots[evidence.Downstream], snapshots[evidence.Upstream]; d.State != 1 || u.State != 7 || u.BytesReceived != 10 || d.RTT == 0 {
		t.Errorf("got states %d and %d, %d bytes received from the server", d.State, u.State, u.BytesReceived)
	}
}
