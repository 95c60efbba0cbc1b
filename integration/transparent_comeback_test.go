package integration

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"whyreset/config"
	"whyreset/diagnose"
	"whyreset/diagnose/evidence"
	"whyreset/diagnose/record"
	"whyreset/integration/lab"
	"whyreset/proxy/rules"
)

// A client that comes back from its port, while the server has not yet taken what it sent before, is served: from the same
// port, its old connection ended, or from another one, and both go on. Or it is refused, and the old one goes on.
func TestTransparentClientComesBack(t *testing.T) {
	t.Parallel()
	for _, on := range []config.OnConflict{config.ConflictAbortOld, config.ConflictOtherPort, config.ConflictRefuse} {
		t.Run(string(on), func(t *testing.T) {
			t.Parallel()
			r := startPlaced(t, atRouter, rules.TProxy, rules.SourceClient, config.Listener{OnConflict: on})
			r.apply()
			ln, err := r.Server.Listen("tcp", ":80")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			for _, version := range []int{4, 6} {
				r.comeBack(ln, on, r.client(version, 40000), r.server(version, 80))
			}
		})
	}
}

func (r *placed) comeBack(ln net.Listener, on config.OnConflict, from, to netip.AddrPort) {
	r.t.Helper()
	first := r.dialFrom(from, to)
	held := r.acceptOn(ln)
	defer held.Close()
	first.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	written, err := io.CopyN(first, endlessZeros{}, 1<<30)
	if err == nil {
		r.t.Fatal("the server, which reads nothing, took 1 GiB")
	}
	first.SetLinger(0)
	first.Close()

	second := r.dialFrom(from, to)
	defer second.Close()
	if on == config.ConflictRefuse {
		if n, err := io.Copy(io.Discard, second); n > 0 || !errors.Is(err, syscall.ECONNRESET) {
			r.t.Errorf("%v: got %d bytes and %v, want a reset", from, n, err)
		}
		if c := r.record(); c.Verdict.Cause != "proxy_refused" || !strings.Contains(c.Verdict.Sentence, "still in use here") || c.Destination != to {
			r.t.Errorf("%v: got %s, want proxy_refused: %s", from, c.Verdict.Cause, c.Verdict.Sentence)
		}
	} else {
		if _, err := io.WriteString(second, "hello"); err != nil {
			r.t.Fatal(err)
		}
		server := r.acceptOn(ln)
		defer server.Close()
		text := make([]byte, 5)
		if _, err := io.ReadFull(server, text); err != nil || string(text) != "hello" {
			r.t.Fatalf("got %q, %v, want hello", text, err)
		}
		got := server.RemoteAddr().(*net.TCPAddr).AddrPort()
		got = netip.AddrPortFrom(got.Addr().Unmap(), got.Port())
		if got.Addr() != from.Addr() || (got == from) != (on == config.ConflictAbortOld) {
			r.t.Errorf("%v came back, and the server saw %v", from, got)
		}
		defer func() {
			second.Close()
			server.Close()
			c := r.record()
			if c.Upstream.Local != got || c.Downstream.Remote != from || c.Destination != to {
				r.t.Errorf("the record has %v and %v to %v", c.Downstream, c.Upstream, c.Destination)
			}
			want := evidence.AbortedOld
			if on == config.ConflictOtherPort {
				want = evidence.OtherPort
			}
			r.wantAction(c, want)
		}()
	}
	if on == config.ConflictAbortOld { // before anybody has read a byte of it
		c := r.record()
		r.wantAction(c, evidence.ClientBack)
		if c.Verdict.Side != diagnose.SideDownstream {
			r.t.Errorf("got %s on side %s, want the client's: %s", c.Verdict.Cause, c.Verdict.Side, c.Verdict.Sentence)
		}
	}
	n, err := io.Copy(io.Discard, held)
	if n == 0 || n > written || !errors.Is(err, syscall.ECONNRESET) {
		r.t.Errorf("%v: the first server got %d of %d bytes and %v, want a reset behind some", from, n, written, err)
	}
	if on != config.ConflictAbortOld {
		if v := r.record().Verdict; v.Side != diagnose.SideDownstream {
			r.t.Errorf("%v: got %s on side %s: %s", from, v.Cause, v.Side, v.Sentence)
		}
	}
}

func (r *placed) wantAction(c *record.Connection, want evidence.Action) {
	r.t.Helper()
	if !did(c, want) {
		r.t.Errorf("the record of %v has no action %d: %v", c.Downstream.Remote, want, c.Evidence.Observations)
	}
}

type endlessZeros struct{}

func (endlessZeros) Read(b []byte) (int, error) { return len(b), nil }

// dialFrom connects from a port of the client's as soon as its own kernel lets it: until the last FIN of the connection
// before is acknowledged (LAST_ACK), the port is taken.
func (r *placed) dialFrom(from, to netip.AddrPort) *net.TCPConn {
	r.t.Helper()
	conn, err := r.tryFrom(from, to)
	if err != nil {
		r.t.Fatal(err)
	}
	return conn
}

func (r *placed) tryFrom(from, to netip.AddrPort) (*net.TCPConn, error) {
	dialer := dialerFrom(from)
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		var conn net.Conn
		err := r.Client.Do(func() (err error) {
			conn, err = dialer.Dial("tcp", to.String())
			return err
		})
		if err == nil {
			conn.SetDeadline(time.Now().Add(patience))
			return conn.(*net.TCPConn), nil
		}
		if !isTaken(err) || time.Now().After(deadline) {
			return nil, err
		}
	}
}

// dialerFrom connects from a port, also one that is in use towards other servers, or was a moment ago (SO_REUSEADDR).
func dialerFrom(from netip.AddrPort) *net.Dialer {
	reuse := func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1) })
		return errors.Join(err, failed)
	}
	dialer := &net.Dialer{Timeout: patience, Control: reuse}
	if from.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(from)
	}
	dialer.SetMultipathTCP(false)
	return dialer
}

// isTaken says that the client's own kernel has the port, or all of them, in use.
func isTaken(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

func (r *placed) acceptOn(ln net.Listener) net.Conn {
	r.t.Helper()
	ln.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	conn, err := ln.Accept()
	if err != nil {
		r.t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// What the kernel keeps of a leg that is over (TIME_WAIT), and gives up at once only where timestamps tell old packets from new
// ones, is nobody's to end: the client is carried from another port.
func TestTransparentTimeWait(t *testing.T) {
	t.Parallel()
	r := startPlaced(t, atRouter, rules.TProxy, rules.SourceClient, config.Listener{})
	r.apply()
	if err := r.Server.Sysctl("net.ipv4.tcp_timestamps", "0"); err != nil {
		t.Fatal(err)
	}
	r.serve(80, lab.ReadAll(), lab.Write(100))
	for _, version := range []int{4, 6} {
		from, to := r.client(version, 40000), r.server(version, 80)
		for i, own := range []bool{true, false} {
			out := lab.Run(t.Context(), r.dialFrom(from, to), lab.Script{Sends: 2, Expects: 1,
				Steps: steps(lab.Write(100), lab.CloseWrite(), lab.ReadAll())})
			if out.Read != 100 || out.Damage != nil || out.End != lab.EndEOF {
				t.Errorf("%v, connection %d: %v, want 100 bytes and a FIN", from, i, out)
			}
			c := r.record()
			if c.Verdict.Cause != "clean_close" || (c.Upstream.Local == from) != own || did(c, evidence.OtherPort) == own {
				t.Errorf("%v, connection %d: got %s from %v: %v", from, i, c.Verdict.Cause, c.Upstream.Local, c.Evidence.Observations)
			}
		}
	}
}
