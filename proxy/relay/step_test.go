package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"whyreset/diagnose/evidence"
)

// stepped is a relay of one loop that a test runs round by round in its own goroutine: so what happens between two
// rounds is found in one batch, in the order in which it happened, and the loop can be looked into.
type stepped struct {
	t       *testing.T
	relay   *Relay
	loop    *loop
	address netip.AddrPort
	server  net.Listener
}

// step makes one whose target is a listener of the test.
func step(t *testing.T, opt Options) *stepped {
	t.Helper()
	opt.Loops = 1
	if opt.Ended == nil {
		opt.Ended = func([]Ended) {}
	}
	r, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	s := &stepped{t: t, relay: r, loop: r.loops[0], server: listen(t)}
	t.Cleanup(func() {
		r.order(orderAbort)
		s.loop.round(0)
		r.Close()
	})
	s.address = addListener(t, r, address(s.server))
	return s
}

// until runs rounds until the condition holds.
func (s *stepped) until(what string, is func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(deadline) {
			s.t.Fatalf("in vain: waited for %s", what)
		}
		s.loop.round(1)
	}
}

// connect returns both ends of a new pair, and the pair.
func (s *stepped) connect() (client, server *net.TCPConn, p *pair) {
	s.t.Helper()
	client = dial(s.t, s.address)
	before := s.relay.sequence.Load()
	s.until("a pair", func() bool {
		for _, p = range s.loop.pairs {
			if p.stage == open && p.number > before {
				return true
			}
		}
		return false
	})
	return client, accept(s.t, s.server), p
}

// stories takes what has ended.
func (s *stepped) stories() []string {
	var all []string
	for i := range s.loop.ended {
		all = append(all, story(s.loop.ended[i].Evidence()))
	}
	s.loop.ended = nil
	return all
}

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

func listen(t *testing.T) net.Listener {
	t.Helper()
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	ln, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func addListener(t *testing.T, r *Relay, upstream ...netip.AddrPort) netip.AddrPort {
	t.Helper()
	target := NewTarget("upstream")
	target.Set(upstream)
	at, err := r.Listen(Listener{Name: "test", Address: anyPort, Target: target})
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func address(ln net.Listener) netip.AddrPort { return ln.Addr().(*net.TCPAddr).AddrPort() }

func dial(t *testing.T, to netip.AddrPort) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", to.String(), 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return bounded(t, conn)
}

func accept(t *testing.T, ln net.Listener) *net.TCPConn {
	t.Helper()
	ln.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second))
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return bounded(t, conn)
}

// bounded gives a connection a deadline, so that a relay that stalls fails a test in place of hanging it.
func bounded(t *testing.T, conn net.Conn) *net.TCPConn {
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn.(*net.TCPConn)
}

func reset(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	if err := conn.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func write(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

func wantRead(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(conn, got); err != nil || string(got) != text {
		t.Fatalf("got %q, %v, want %q", got[:n], err, text)
	}
}

// wantEnd reads to the end: nil for a FIN, syscall.ECONNRESET for a reset.
func wantEnd(t *testing.T, conn net.Conn, text string, end error) {
	t.Helper()
	got, err := io.ReadAll(conn)
	if string(got) != text || (end == nil) != (err == nil) || err != nil && !errors.Is(err, end) {
		t.Fatalf("got %q and %v, want %q and %v", got, err, text, end)
	}
}

// wantRefused dials what resets at once, which the dialler may already see in its connect.
func wantRefused(t *testing.T, to netip.AddrPort) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", to.String(), 20*time.Second)
	if err != nil {
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("got %v, want ECONNRESET", err)
		}
		return
	}
	wantEnd(t, bounded(t, conn), "", syscall.ECONNRESET)
}

var actions = map[evidence.Action]string{
	evidence.PassedFIN: "passed-fin", evidence.PassedReset: "passed-reset", evidence.Closed: "closed",
	evidence.IdleTimeout: "idle", evidence.ConnectTimeout: "connect-timeout", evidence.FlushTimeout: "flush-timeout",
	evidence.Shutdown: "shutdown", evidence.Refused: "refused", evidence.ResolveFailed: "unresolved", evidence.Limit: "limit",
	evidence.NotRedirected: "not-redirected", evidence.Denied: "denied", evidence.Guarded: "guarded", evidence.NotPermitted: "not-permitted",
	evidence.OtherPort: "other-port", evidence.AbortedOld: "aborted-old", evidence.ClientBack: "client-back", evidence.PortTaken: "port-taken", evidence.Looped: "looped",
}

// story is what happened to a pair, in order: "d:data" is data from the client, "!u:closed" our close of the upstream leg.
func story(ev *evidence.Evidence) string {
	leg := map[evidence.Leg]string{evidence.Downstream: "d:", evidence.Upstream: "u:", evidence.NoLeg: ""}
	var words []string
	for _, o := range ev.Observations {
		switch w := o.What.(type) {
		case evidence.Action:
			words = append(words, "!"+leg[o.Leg]+actions[w])
		case evidence.Socket:
			word := leg[o.Leg] + map[evidence.Saw]string{evidence.Connected: "connected", evidence.Data: "data", evidence.FIN: "fin"}[w.Saw]
			if w.Saw == evidence.Error {
				word += w.Errno.String()
			}
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}
