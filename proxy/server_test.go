package proxy

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"whyreset/config"
	"whyreset/diagnose/record"
)

// told is a Log that keeps what it is told.
type told struct {
	ended, started chan *record.Connection
	notices        chan record.Notice
}

func newTold() *told {
	const plenty = 10_000 // a Log never blocks
	return &told{make(chan *record.Connection, plenty), make(chan *record.Connection, plenty), make(chan record.Notice, plenty)}
}

func (l *told) Connection(c *record.Connection) { l.ended <- c }
func (l *told) Started(c *record.Connection)    { l.started <- c }
func (l *told) Notice(n record.Notice)          { l.notices <- n }

func next[T any](t *testing.T, from chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was told")
	}
	panic("not reached")
}

// notice is the next notice with that code.
func (l *told) notice(t *testing.T, code record.Code) record.Notice {
	t.Helper()
	for {
		if n := next(t, l.notices); n.Code == code {
			return n
		}
	}
}

// greeter is an upstream that says hello and then waits for the end.
func greeter(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { io.WriteString(c, "hello"); io.Copy(io.Discard, c); c.Close() }()
		}
	}()
	return ln.Addr().String()
}

// start runs a server in front of a greeter.
func start(t *testing.T, change func(*config.Config)) (*Server, *told) {
	t.Helper()
	s, log := prepare(t, change)
	s.Start()
	return s, log
}

// prepare makes what start runs; it must be started.
func prepare(t *testing.T, change func(*config.Config)) (*Server, *told) {
	t.Helper()
	cfg := config.Defaults()
	cfg.Listeners = []config.Listener{{Name: "test", Address: "127.0.0.1:0", Upstream: greeter(t)}}
	cfg.Complete()
	change(cfg)
	log := newTold()
	s, err := New(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		s.Stop(now)
	})
	return s, log
}

// greeted is a client that is certainly connected through.
func greeted(t *testing.T, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addresses()["test"].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestALongConnectionIsRecordedWhileItGoesOn(t *testing.T) {
	s, log := start(t, func(c *config.Config) { c.Log.StartAfter = 50 * time.Millisecond })
	greeted(t, s).Close() // one that may be too short: then nothing is told of it
	c := greeted(t, s)
	first := next(t, log.started)
	for first.Sequence != 2 {
		first = next(t, log.started)
	}
	c.Close()
	last := next(t, log.ended)
	for last.Sequence != 2 {
		last = next(t, log.ended)
	}
	if first.ID != last.ID || !first.Start.Equal(last.Start) || first.Upstream != last.Upstream {
		t.Errorf("the record of the start does not belong to that of the end:\n%+v\n%+v", first, last)
	}
	if len(s.started) != 0 {
		t.Errorf("%d connections are remembered that have ended", len(s.started))
	}
}

func TestLimits(t *testing.T) {
	for _, test := range []struct {
		name   string
		limits config.Limits
	}{
		{"connections", config.Limits{Connections: 2}},
		{"per source", config.Limits{PerSource: 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, log := start(t, func(c *config.Config) { c.Limits = test.limits })
			a := greeted(t, s)
			greeted(t, s)
			if c, err := net.Dial("tcp", s.Addresses()["test"].String()); err == nil {
				if _, err := io.ReadAll(c); err == nil {
					t.Error("the third one ended in order, want a reset")
				}
				c.Close()
			}
			if v := next(t, log.ended).Verdict; v.Cause != "proxy_limit" || v.Side != "proxy" {
				t.Errorf("got %s on side %s, want proxy_limit", v.Cause, v.Side)
			}
			a.Close()
			next(t, log.ended)
			greeted(t, s) // there is room again

			more := *s.Config()
			more.Limits = config.Limits{}
			for _, change := range s.Reload(&more) {
				if !change.Live {
					t.Errorf("%s needs a restart", change.Key)
				}
			}
			greeted(t, s)
		})
	}
}

func TestListenErrorsSayWhatToDo(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cfg := config.Defaults()
	cfg.Listeners = []config.Listener{{Name: "db", Mode: config.ModeForward, Address: ln.Addr().String(), Upstream: "127.0.0.1:1"}}
	_, err = New(cfg, newTold())
	listen, ok := err.(*ListenError)
	if !ok || listen.Listener != "db" || listen.Hint() == "" {
		t.Fatalf("got %v, want the listener's name and a hint", err)
	}
}

// Who is in a listener's queue when the proxy is told to stop has its time like everybody.
func TestStopServesWhoWaits(t *testing.T) {
	s, log := prepare(t, func(*config.Config) {})
	c, err := net.Dial("tcp", s.Addresses()["test"].String())
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	stopped := make(chan struct{})
	go func() { s.Stop(context.Background()); close(stopped) }()
	if got, err := io.ReadAll(io.LimitReader(c, 5)); string(got) != "hello" {
		t.Errorf("got %q and %v, want to be served", got, err)
	}
	c.Close()
	if v := next(t, log.ended).Verdict; v.Harmful() {
		t.Errorf("got %s, want a harmless end", v.Cause)
	}
	select {
	case <-stopped:
	case <-time.After(20 * time.Second):
		t.Fatal("it does not stop")
	}
}

func TestReloadedTimeoutsHoldForThoseThere(t *testing.T) {
	s, log := start(t, func(*config.Config) {})
	c := greeted(t, s)
	other := *s.Config()
	other.Timeouts.Idle = 100 * time.Millisecond
	other.Listeners = append([]config.Listener{{Name: "another", Address: "127.0.0.1:0", Upstream: "127.0.0.1:1"}}, other.Listeners...)
	for _, change := range s.Reload(&other) {
		if want := change.Key == "timeouts.idle"; change.Live != want {
			t.Errorf("%s: live %v, want %v", change.Key, change.Live, want)
		}
	}
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("got %v, want an end in order", err)
	}
	if v := next(t, log.ended).Verdict; v.Cause != "proxy_idle_timeout" || v.Side != "proxy" {
		t.Errorf("got %s on side %s, want proxy_idle_timeout", v.Cause, v.Side)
	}
	if got := len(s.Config().Listeners); got != 1 {
		t.Errorf("%d listeners are in force, want the one that runs", got)
	}
}
