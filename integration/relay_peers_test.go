package integration

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
	"whyreset/proxy/kernel"
	"whyreset/proxy/relay"
)

// relayParts are the parts that tests of the relay start this program for.
var relayParts = map[string]func(arguments string) error{}

// playRelayPart plays a part if it is one of relayParts. The part ends with its standard input, and so never outlives
// the test.
func playRelayPart(part string) (code int, ours bool) {
	name, arguments, _ := strings.Cut(part, " ")
	play, ours := relayParts[name]
	if !ours {
		return 0, false
	}
	if err := play(arguments); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	return 0, true
}

// child is this program playing one of relayParts in a process of its own.
type child struct {
	t     *testing.T
	in    io.WriteCloser
	lines *bufio.Reader
	kill  func() // SIGKILL; it returns when the kernel has closed all the process had
}

func startChild(t *testing.T, part string, files ...*os.File) *child {
	t.Helper()
	cmd := program(part)
	cmd.Stderr, cmd.ExtraFiles = os.Stderr, files
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, in: in, lines: bufio.NewReader(out)}
	c.kill = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait() // that it was killed is no news
	})
	t.Cleanup(c.kill)
	return c
}

// line is the next thing the child says.
func (c *child) line() string {
	c.t.Helper()
	line, err := c.lines.ReadString('\n')
	if err != nil {
		c.t.Fatalf("the child said %q, then: %v", line, err)
	}
	return strings.TrimSpace(line)
}

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

func listenTCP(t *testing.T) *net.TCPListener {
	t.Helper()
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	ln, err := config.Listen(context.Background(), "tcp", anyPort.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln.(*net.TCPListener)
}

func addressOf(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() }

// runningRelay is a relay in this process, in front of one upstream.
type runningRelay struct {
	*relay.Relay
	address netip.AddrPort

	mu sync.Mutex
	// By the client's address, in order of their ends: a port whose connection was reset may be used again at once.
	ended map[netip.AddrPort][]*evidence.Evidence
}

func startRelay(t *testing.T, opt relay.Options, upstream netip.AddrPort) *runningRelay {
	t.Helper()
	r := &runningRelay{ended: map[netip.AddrPort][]*evidence.Evidence{}}
	opt.Ended = func(all []relay.Ended) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for i := range all {
			client := all[i].Downstream.Remote
			r.ended[client] = append(r.ended[client], all[i].Evidence())
		}
	}
	var err error
	if r.Relay, err = relay.New(opt); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	target := relay.NewTarget("upstream")
	target.Set([]netip.AddrPort{upstream})
	if r.address, err = r.Listen(relay.Listener{Name: "test", Address: anyPort, Target: target}); err != nil {
		t.Fatal(err)
	}
	r.Start()
	return r
}

// only waits for the evidence of the only connection there was.
func (r *runningRelay) only(t *testing.T) *evidence.Evidence {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		r.mu.Lock()
		for _, all := range r.ended {
			r.mu.Unlock()
			return all[0]
		}
		r.mu.Unlock()
	}
	t.Error("in vain: waited for the end of the connection")
	return nil
}

// of waits for the evidence of the connection that came from a client's address, and forgets it.
func (r *runningRelay) of(t *testing.T, client netip.AddrPort) *evidence.Evidence {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		r.mu.Lock()
		all := r.ended[client]
		if len(all) > 0 {
			r.ended[client] = all[1:]
		}
		r.mu.Unlock()
		if len(all) > 0 {
			return all[0]
		}
	}
	t.Errorf("in vain: waited for the end of the connection from %v", client)
	return nil
}

// carried is what the relay knows of the bytes from one leg: how many it passed on, and, where a reset ended the leg, how
// many its kernel had received by then.
type carried struct {
	in       int64
	reset    bool
	received int64
}

func carriedFrom(ev *evidence.Evidence, leg evidence.Leg) (c carried) {
	var fin int64
	for _, o := range ev.Observations {
		if o.Leg != leg {
			continue
		}
		switch w := o.What.(type) {
		case evidence.Transfer:
			c.in = max(c.in, int64(w.In))
		case evidence.Snapshot:
			c.reset, c.received = w.State == kernel.StateClose, int64(w.BytesReceived)
		case evidence.Socket:
			if w.Saw == evidence.FIN {
				fin = 1
			}
		}
	}
	c.received -= fin // which tcp_info counts as a byte
	return c
}

// untilCut writes a byte now and then until the connection is gone.
func untilCut() lab.Step {
	return lab.Call("write until cut", func(conn net.Conn) error {
		for {
			if _, err := conn.Write([]byte{0}); errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
				return nil
			} else if err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	})
}

// untilUnacked waits until so many bytes or fewer are on their way, or, when n is negative, until their number has not
// changed for a while: the way is full.
func untilUnacked(n int) lab.Step {
	return lab.Call("wait for acknowledgements", func(conn net.Conn) error {
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			return err
		}
		const still = 50 * time.Millisecond
		last, since := -1, time.Now()
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			left := 0
			if err := raw.Control(func(fd uintptr) { left = kernel.Unacked(int(fd)) }); err != nil {
				return err
			}
			if left != last {
				last, since = left, time.Now()
			}
			if n >= 0 && left <= n || n < 0 && left > 0 && time.Since(since) > still {
				return nil
			}
		}
		return fmt.Errorf("%d bytes are still on their way", last)
	})
}

// signal closes the channel.
func signal(done chan struct{}) lab.Step {
	return lab.Call("signal", func(net.Conn) error { close(done); return nil })
}
