package proxy

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"whyreset/config"
	"whyreset/diagnose/record"
)

// startNamed runs a server whose upstream is a name, looked up in names, with the port of an upstream that greets.
func startNamed(t *testing.T, names *nameServer, interval time.Duration) (*Server, *told) {
	t.Helper()
	_, port, err := net.SplitHostPort(greeter(t))
	if err != nil {
		t.Fatal(err)
	}
	s, log := prepare(t, func(c *config.Config) {
		c.Listeners[0].Upstream = "db.test.:" + port
		c.Resolve.Interval = interval
	})
	s.names = names.resolver
	s.Start()
	return s, log
}

// refused is a client that the proxy resets for want of an address.
func refused(t *testing.T, s *Server, log *told) {
	t.Helper()
	if c, err := net.Dial("tcp", s.Addresses()["test"].String()); err == nil {
		io.ReadAll(c)
		c.Close()
	}
	if got := next(t, log.ended); got.Verdict.Cause != "proxy_resolve_failed" {
		t.Errorf("got %s, want proxy_resolve_failed", got.Verdict.Cause)
	}
}

func TestNamesAreLookedUpAtStart(t *testing.T) {
	t.Parallel()
	s, _ := startNamed(t, serveNames(t, "127.0.0.1"), 0)
	greeted(t, s)
}

func TestAllAddressesOfANameAreTried(t *testing.T) {
	t.Parallel()
	// Nothing listens at the first ones, whatever order the resolver gives them.
	s, log := startNamed(t, serveNames(t, "127.0.0.11", "127.0.0.12", "127.0.0.1"), 0)
	greeted(t, s).Close()
	if got := next(t, log.ended); got.Upstream.Remote.Addr().String() != "127.0.0.1" || got.Verdict.Harmful() {
		t.Errorf("got %s after %s, want a harmless end of the connection to 127.0.0.1", got.Upstream.Remote, got.Verdict.Cause)
	}
}

func TestAnUnknownNameIsToldOnceAndTriedAgain(t *testing.T) {
	t.Parallel()
	names := serveNames(t)
	s, log := startNamed(t, names, 0)
	for asked := 1; asked < 3; {
		refused(t, s, log) // and so looked up again, but not at once
		asked = names.questions()
	}
	names.set("127.0.0.1")
	for s.listeners[0].target.Addresses() == nil {
		if c, err := net.Dial("tcp", s.Addresses()["test"].String()); err == nil {
			c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	greeted(t, s)
	log.notice(t, record.ResolveFailed)
	for len(log.notices) > 0 {
		if n := next(t, log.notices); n.Code == record.ResolveFailed {
			t.Errorf("it was told again: %+v", n)
		}
	}
}

func TestFailingConnectsMakeNoStormOfQuestions(t *testing.T) {
	t.Parallel()
	names := serveNames(t)
	s, log := startNamed(t, names, 0)
	began := time.Now()
	for range 50 {
		refused(t, s, log)
	}
	if most, got := 2+int(time.Since(began)/lookupPause), names.questions(); got > most {
		t.Errorf("got %d questions in %v, want at most %d", got, time.Since(began), most)
	}
}

func TestTheLastGoodAnswerIsKept(t *testing.T) {
	t.Parallel()
	names := serveNames(t, "127.0.0.1")
	s, log := startNamed(t, names, 10*time.Millisecond) // in effect the pause between look-ups
	names.set()
	if got := log.notice(t, record.ResolveFailed); got.Listener != "test" || got.Error != "no such host" {
		t.Errorf("got %+v, want the listener and that there is no such host", got)
	}
	greeted(t, s)
}

func TestAReloadLooksUpAgain(t *testing.T) {
	t.Parallel()
	names := serveNames(t, "127.0.0.11")
	s, _ := startNamed(t, names, time.Hour)
	names.set("127.0.0.1")
	s.Reload(s.Config())
	want := fmt.Sprintf("[127.0.0.1:%d]", s.listeners[0].port)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		got := fmt.Sprint(s.listeners[0].target.Addresses())
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}

func TestLiteralAddressesAreNotLookedUp(t *testing.T) {
	t.Parallel()
	names := serveNames(t, "127.0.0.11")
	s, _ := prepare(t, func(*config.Config) {})
	s.names = names.resolver
	s.Start()
	greeted(t, s)
	if got := names.questions(); got != 0 {
		t.Errorf("got %d questions for an address", got)
	}
}
