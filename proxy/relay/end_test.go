package relay

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
	"whyreset/proxy/kernel"
)

// through returns both ends of a connection through a relay that runs. A first byte from the server has passed: so the
// relay is certain to have seen its own connect succeed.
func through(t *testing.T, opt Options) (l *live, client, server *net.TCPConn) {
	t.Helper()
	ln := listen(t)
	l = start(t, opt, address(ln))
	client = dial(t, l.address)
	server = accept(t, ln)
	write(t, server, ".")
	wantRead(t, client, ".")
	return l, client, server
}

// waitAcked waits until the peer's kernel has all that was written.
func waitAcked(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "acknowledgements", func() bool {
		left := 0
		raw.Control(func(fd uintptr) { left = kernel.Unacked(int(fd)) })
		return left == 0
	})
}

// fill writes until nothing has been taken for a while, and returns how much was taken.
func fill(t *testing.T, conn *net.TCPConn) (taken int64) {
	t.Helper()
	defer conn.SetWriteDeadline(time.Now().Add(30 * time.Second))
	b := make([]byte, 64<<10)
	for {
		lab.Pattern(1).Fill(b, taken)
		conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := conn.Write(b)
		taken += int64(n)
		if err != nil {
			return taken
		}
	}
}

// A reset on one leg is seen while the other one takes nothing. (A goroutine blocked in a write would not hear of it.)
func TestResetWhileOtherLegIsBlocked(t *testing.T) {
	t.Parallel()
	const soon = 5 * time.Second // at once, on any machine
	for _, by := range []string{"client", "server"} {
		t.Run("sender is "+by, func(t *testing.T) {
			t.Parallel()
			l, sender, receiver := through(t, Options{})
			leg, greeting := evidence.Downstream, int64(0)
			if by == "server" {
				sender, receiver, leg, greeting = receiver, sender, evidence.Upstream, 1
			}
			begin := time.Now()
			taken := fill(t, sender)
			reset(t, sender)
			at := time.Since(begin)
			// The receiver takes its time: what came before the reset must still reach it.
			time.Sleep(300 * time.Millisecond)
			if l.Active() != 1 {
				t.Fatal("the pair has ended before its bytes were delivered")
			}
			out := lab.Run(context.Background(), receiver, lab.Script{Expects: 1, Steps: []lab.Step{lab.ReadAll()}})
			if out.End != lab.EndReset || out.Damage != nil || out.Read == 0 || out.Read > taken {
				t.Errorf("receiver: got %v, want a prefix of %d bytes and a reset", out, taken)
			}
			e := l.next()
			if seen := when(t, e, leg, isError); seen < at-soon || seen > at+soon || e.Duration < seen+250*time.Millisecond {
				t.Errorf("reset after %v was seen after %v, and the pair ended after %v", at, seen, e.Duration)
			}
			for _, o := range e.Evidence().Observations {
				if s, ok := o.What.(evidence.Snapshot); ok && o.Leg == leg && int64(s.BytesReceived) != greeting+out.Read {
					t.Errorf("received %d bytes and delivered %d", s.BytesReceived, out.Read)
				}
			}
		})
		t.Run("receiver is "+by, func(t *testing.T) {
			t.Parallel()
			l, receiver, sender := through(t, Options{})
			if by == "server" {
				sender, receiver = receiver, sender
			}
			fill(t, sender)
			begin := time.Now()
			reset(t, receiver)
			var err error
			for b := make([]byte, 64<<10); err == nil; {
				_, err = sender.Write(b)
			}
			if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				t.Errorf("sender: got %v, want the reset", err)
			}
			if took := time.Since(begin); took > soon {
				t.Errorf("the sender heard of it after %v", took)
			}
			l.next()
		})
	}
}

// An idle pair is ended with a FIN to both.
func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	const limit = 200 * time.Millisecond
	l, client, server := through(t, Options{Timeouts: Timeouts{Idle: limit}})
	for range 5 { // longer than the limit in all, and never idle for so long
		time.Sleep(limit / 4)
		write(t, client, "x")
		wantRead(t, server, "x")
	}
	wantEnd(t, client, "", nil)
	wantEnd(t, server, "", nil)
	e := l.wantStory("d:connected u:connected u:data d:data !idle !d:closed !u:closed")
	if e.Duration < 5*limit/4+limit {
		t.Errorf("ended after %v, idle for less than %v", e.Duration, limit)
	}
}

// Timeouts can change under pairs that are there already.
func TestSetTimeouts(t *testing.T) {
	t.Parallel()
	l, client, server := through(t, Options{})
	write(t, client, "x")
	wantRead(t, server, "x")
	l.SetTimeouts(Timeouts{Idle: time.Hour})
	l.SetTimeouts(Timeouts{Idle: 100 * time.Millisecond})
	wantEnd(t, client, "", nil)
	l.wantStory("d:connected u:connected u:data d:data !idle !d:closed !u:closed")

	l.SetTimeouts(Timeouts{Idle: time.Hour})
	second := dial(t, l.address)
	write(t, second, "x")
	eventually(t, "its byte", func() bool { return l.Active() == 1 })
	l.SetTimeouts(Timeouts{Idle: 100 * time.Millisecond})
	wantEnd(t, second, "", nil)
}

// A leg that takes nothing is not waited for longer than the flush timeout, whatever ended the other.
func TestFlushTimeout(t *testing.T) {
	t.Parallel()
	const limit = 300 * time.Millisecond
	for name, end := range map[string]func(*net.TCPConn){
		"reset": func(c *net.TCPConn) { reset(t, c) },
		"fin":   func(c *net.TCPConn) { c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, client, server := through(t, Options{Timeouts: Timeouts{Flush: limit}})
			const size = 600 << 10 // more than the client's kernel takes, less than the relay holds
			client.CloseWrite()
			wantEnd(t, server, "", nil)
			sent := make([]byte, size)
			lab.Pattern(1).Fill(sent, 0)
			write(t, server, string(sent))
			waitAcked(t, server)
			end(server)
			e := l.next()
			if got := story(e.Evidence()); !strings.Contains(got, "!d:flush-timeout !d:passed-reset") {
				t.Errorf("got %s", got)
			}
			if e.Duration < limit {
				t.Errorf("ended after %v", e.Duration)
			}
			out := lab.Run(context.Background(), client, lab.Script{Expects: 1, Steps: []lab.Step{lab.ReadAll()}})
			if out.End != lab.EndReset || out.Damage != nil || out.Read >= size {
				t.Errorf("client: got %v, want a part of %d bytes and a reset", out, size)
			}
		})
	}
}

// Stopping resets what is left, and says that it was us.
func TestAbort(t *testing.T) {
	t.Parallel()
	mute := silent(t)
	l, client, server := through(t, Options{})
	write(t, client, "x")
	wantRead(t, server, "x")
	l.target.Set(nil)
	l.StopAccepting()
	l.Abort()
	wantEnd(t, client, "", syscall.ECONNRESET)
	wantEnd(t, server, "", syscall.ECONNRESET)
	l.wantStory("d:connected u:connected u:data d:data !shutdown !d:passed-reset !u:passed-reset")

	l = start(t, Options{}, mute)
	client = dial(t, l.address)
	eventually(t, "the dial", func() bool { return l.Active() == 1 })
	l.Close()
	wantEnd(t, client, "", syscall.ECONNRESET)
	l.wantStory("d:connected !shutdown !d:passed-reset")
}

// The user timeout and keepalive are set on both legs.
func TestUserTimeout(t *testing.T) {
	t.Parallel()
	for _, stalled := range []string{"client", "server"} {
		t.Run(stalled+" stalls", func(t *testing.T) {
			t.Parallel()
			l, client, server := through(t, Options{Socket: kernel.Options{UserTimeout: 500}})
			sender, leg := client, evidence.Upstream
			if stalled == "client" {
				sender, leg = server, evidence.Downstream
			}
			go func() { // until it is cut
				b := make([]byte, 64<<10)
				for {
					if _, err := sender.Write(b); err != nil {
						return
					}
				}
			}()
			e := l.next()
			timedOut := func(w evidence.What) bool { return isError(w) && w.(evidence.Socket).Errno == evidence.ETIMEDOUT }
			if at := when(t, e, leg, timedOut); at < 500*time.Millisecond {
				t.Errorf("timed out after %v", at)
			}
		})
	}
}

// Half-close: one direction ends, the other goes on.
func TestHalfClose(t *testing.T) {
	t.Parallel()
	l, client, server := through(t, Options{})
	write(t, client, "request")
	client.CloseWrite()
	wantEnd(t, server, "request", nil)
	for range 3 {
		write(t, server, "answer")
		wantRead(t, client, "answer")
	}
	server.Close()
	wantEnd(t, client, "", nil)
	l.wantStory("d:connected u:connected u:data d:data d:fin !u:passed-fin u:data u:fin !d:closed !u:closed")
}

// A reset behind a FIN leaves both.
func TestResetAfterFIN(t *testing.T) {
	t.Parallel()
	l, client, server := through(t, Options{})
	write(t, server, "answer")
	server.CloseWrite()
	wantEnd(t, client, "answer", nil)
	reset(t, server)
	var err error
	for err == nil { // a write that goes out before the reset is here meets it next time
		_, err = client.Write([]byte("x"))
	}
	if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("client: got %v, want EPIPE", err)
	}
	e := l.next()
	if got := story(e.Evidence()); !strings.HasPrefix(got, "d:connected u:connected u:data u:fin !d:passed-fin ") || !strings.Contains(got, "u:EPIPE") && !strings.Contains(got, "u:ECONNRESET") {
		t.Errorf("got %s", got)
	}
}
