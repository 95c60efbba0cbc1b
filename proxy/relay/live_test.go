package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
)

// live is a relay that runs.
type live struct {
	*Relay
	t       *testing.T
	target  *Target
	address netip.AddrPort
	ended   chan Ended
	notices chan Notice
}

// start runs a relay whose connections go to the upstream addresses.
func start(t *testing.T, opt Options, upstream ...netip.AddrPort) *live {
	t.Helper()
	l := prepare(t, opt, upstream...)
	l.Start()
	return l
}

// prepare does all but start it.
func prepare(t *testing.T, opt Options, upstream ...netip.AddrPort) *live {
	t.Helper()
	l := &live{t: t, ended: make(chan Ended, 10000), notices: make(chan Notice, 100), target: NewTarget("upstream")}
	opt.Ended = func(all []Ended) {
		for i := range all {
			l.ended <- all[i]
		}
	}
	opt.Notice = func(n Notice) { l.notices <- n }
	var err error
	if l.Relay, err = New(opt); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	l.target.Set(upstream)
	if l.address, err = l.Listen(Listener{Name: "test", Address: anyPort, Target: l.target}); err != nil {
		t.Fatal(err)
	}
	return l
}

// next waits for the next story.
func (l *live) next() *Ended {
	l.t.Helper()
	select {
	case e := <-l.ended:
		return &e
	case <-time.After(20 * time.Second):
		l.t.Fatal("in vain: waited for a connection to end")
	}
	return nil
}

func (l *live) wantStory(want string) *Ended {
	l.t.Helper()
	e := l.next()
	if got := inShort(e); got != want {
		l.t.Errorf("got  %s\nwant %s", got, want)
	}
	return e
}

// inShort is the story without what depends on how soon the last bytes were acknowledged: whether the last FIN went out
// by itself, because the close had to wait, or with the close.
func inShort(e *Ended) string {
	return strings.NewReplacer(" !d:passed-fin !d:closed", " !d:closed", " !u:passed-fin !d:closed", " !d:closed").Replace(story(e.Evidence()))
}

// when finds the first observation of an error, a FIN or an action.
func when(t *testing.T, e *Ended, leg evidence.Leg, is func(evidence.What) bool) time.Duration {
	t.Helper()
	for _, o := range e.Evidence().Observations {
		if o.Leg == leg && is(o.What) {
			return o.At
		}
	}
	t.Fatalf("not found in %s", story(e.Evidence()))
	return 0
}

func isError(w evidence.What) bool {
	s, ok := w.(evidence.Socket)
	return ok && s.Saw == evidence.Error
}

// echo answers each connection with its own bytes, and with a FIN when they have ended.
func echo(t *testing.T) netip.AddrPort {
	t.Helper()
	ln := listen(t)
	go func() {
		for {
			conn, err := ln.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			} else if err != nil {
				continue // some tests leave no descriptors for a while
			}
			go func() {
				defer conn.Close()
				// Not as io.Copy would: its pipes outlive the connection.
				io.Copy(struct{ io.Writer }{conn}, struct{ io.Reader }{conn})
			}()
		}
	}()
	return address(ln)
}

// refused is where nobody listens.
func refused(t *testing.T) netip.AddrPort {
	t.Helper()
	ln := listen(t)
	ln.Close()
	return address(ln)
}

// silent is an address that answers no SYN: a listener whose queue is full (tcp_conn_request drops).
func silent(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*syscall.SockaddrInet4).Port))
	for range 10 { // the queue takes one more than it was asked for
		conn, err := net.DialTimeout("tcp", at.String(), 100*time.Millisecond)
		if err != nil {
			return at
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("the queue of a listener does not fill")
	return at
}

// sendPattern writes size bytes of the stream of that number, and a FIN.
func sendPattern(conn *net.TCPConn, number int, size int64) error {
	out := lab.Run(context.Background(), conn, lab.Script{Sends: lab.Pattern(number), Steps: []lab.Step{lab.Write(size), lab.CloseWrite(), lab.ReadAll()}})
	return out.WriteErr
}

// readPattern reads to the end and wants exactly those bytes.
func readPattern(conn *net.TCPConn, number int, size int64) error {
	out := lab.Run(context.Background(), conn, lab.Script{Expects: lab.Pattern(number), Steps: []lab.Step{lab.ReadAll()}})
	if out.Read != size || out.End != lab.EndEOF || out.Damage != nil {
		return fmt.Errorf("stream %d: got %v, want %d bytes to EOF", number, out, size)
	}
	return nil
}

// descriptors says what this process has open, pipes and sockets by kind.
func descriptors(t *testing.T) map[string]int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, f := range files {
		if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil {
			kind, _, _ := strings.Cut(to, ":[")
			kinds[kind]++
		}
	}
	return kinds
}

// eventually waits until a condition holds that nothing tells of.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: waited for %s", what)
		}
	}
}
