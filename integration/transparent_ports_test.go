package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"whyreset/config"
	"whyreset/diagnose/evidence"
	"whyreset/diagnose/record"
	"whyreset/integration/lab"
	"whyreset/proxy/rules"
)

// A client may use one port towards several servers at once, also where the proxy keeps the port.
func TestTransparentOnePortToTwoServers(t *testing.T) {
	t.Parallel()
	r := startPlaced(t, atRouter, rules.TProxy, rules.SourceClient, config.Listener{})
	r.apply()
	answer := []lab.Step{lab.ReadAll(), lab.Write(100)}
	peers := map[uint16]*lab.Peer{80: r.serve(80, answer...), 81: r.serve(81, answer...)}
	for _, version := range []int{4, 6} {
		from := r.client(version, 40000)
		var conns []net.Conn
		for _, port := range []uint16{80, 81} {
			conns = append(conns, r.dialFrom(from, r.server(version, port)))
		}
		for _, conn := range conns { // both are there before either says a word
			out := lab.Run(context.Background(), conn, lab.Script{Sends: 2, Expects: 1, Steps: steps(lab.Write(100), lab.CloseWrite(), lab.ReadAll())})
			if out.Read != 100 || out.Damage != nil || out.End != lab.EndEOF {
				t.Errorf("to %v: %v, want 100 bytes and a FIN", out.Remote, out)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for port, peer := range peers {
			out, err := peer.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if out.Remote != from || out.Read != 100 || out.Damage != nil {
				t.Errorf("port %d: %v from %v, want 100 bytes from %v", port, out, out.Remote, from)
			}
		}
		for range conns {
			if c := r.record(); c.Verdict.Cause != "clean_close" || c.Upstream.Local != from || c.Downstream.Remote != from {
				t.Errorf("got %s of %v and %v, want clean_close from %v: %s", c.Verdict.Cause, c.Downstream, c.Upstream, from, c.Verdict.Sentence)
			}
		}
	}
}

// short is a kind of short connection after which the client may have its port again at once.
type short struct {
	name        string
	connections int
	delay       time.Duration // on the way to the server
	ports       bool          // the client chooses its ports itself, as it must where TIME_WAIT is on its side
	server      []lab.Step
	end         func(net.Conn) // what the client does after the answer
}

var shorts = []short{
	{"the server closes first", 2500, 0, false, steps(lab.Read(10), lab.Write(10)), awaitFIN},
	{"the server closes first, far away", 250, 10 * time.Millisecond, false, steps(lab.Read(10), lab.Write(10)), awaitFIN},
	{"the client closes first", 1000, 0, true, steps(lab.Read(10), lab.Write(10), lab.ReadAll()), func(conn net.Conn) {
		conn.(*net.TCPConn).CloseWrite()
		awaitFIN(conn)
	}},
	{"the client resets", 2500, 0, false, steps(lab.Read(10), lab.Write(10), lab.ReadAll()), func(conn net.Conn) {
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}},
}

func awaitFIN(conn net.Conn) { io.Copy(io.Discard, conn) }

// More than ten thousand short connections, from ports that are used again as fast as a client can: none is refused through the proxy, as none is
// without, and the server sees the port of the client.
func TestTransparentPortsUsedFast(t *testing.T) {
	t.Parallel()
	for _, kind := range shorts {
		for _, version := range []int{4, 6} {
			t.Run(fmt.Sprintf("%s, IPv%d", kind.name, version), func(t *testing.T) {
				t.Parallel()
				n := kind.connections
				if underRaceDetector() {
					n /= 5
				}
				r := startPlacedIn(t, lab.Options{Delay: kind.delay}, atRouter, rules.TProxy, rules.SourceClient, config.Listener{}, nil)
				if err := r.Client.Sysctl("net.ipv4.ip_local_port_range", "40000 40099"); err != nil {
					t.Fatal(err)
				}
				peer := r.serve(80, kind.server...)
				to := r.server(version, 80)
				direct, again := r.shortly(kind, to, n), r.sentAgain()
				r.apply()
				told := make(chan map[string]int, 1)
				go func() { told <- r.tally(n) }()
				through := r.shortly(kind, to, n)
				again = r.sentAgain() - again
				if direct > 0 || through > 0 {
					t.Errorf("of %d connections %d fail without the proxy and %d with it, want none", n, direct, through)
				}
				counts := <-told
				t.Logf("%d connections from at most 100 ports: %v; SYNs sent again %d", n, counts, again)
				if counts["the client's port"] < n-n/100 { // a machine that stands still for a moment has other connections take theirs
					t.Errorf("got %v, want the client's own port in all %d", counts, n)
				}
				// A SYN that meets what is left of the last connection, in place of the listener, is challenged and sent again.
				if again > n/20 {
					t.Errorf("%d of %d connections needed a second SYN", again, n)
				}
				peer.Stop()
			})
		}
	}
}

// shortly has the client connect so many times, and counts what failed.
func (r *placed) shortly(kind short, to netip.AddrPort, n int) int {
	r.t.Helper()
	var left, failed atomic.Int64
	left.Store(int64(n))
	var all sync.WaitGroup
	for worker := range uint16(16) {
		all.Go(func() {
			dialer := dialerFrom(netip.AddrPort{})
			if kind.ports {
				dialer = dialerFrom(netip.AddrPortFrom(r.clientAddr(to), 40000+worker))
			}
			err := r.Client.Do(func() error {
				for left.Add(-1) >= 0 {
					if err := once(dialer, kind, to); err != nil && failed.Add(1) == 1 {
						r.t.Logf("to %v: %v", to, err)
					}
				}
				return nil
			})
			if err != nil {
				r.t.Error(err)
			}
		})
	}
	all.Wait()
	return int(failed.Load())
}

// once is one short connection. That the client's own kernel has no port free at the moment is not its failure.
func once(dialer *net.Dialer, kind short, to netip.AddrPort) error {
	conn, err := dialer.Dial("tcp", to.String())
	for deadline := time.Now().Add(patience); isTaken(err) && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		conn, err = dialer.Dial("tcp", to.String())
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	ten := make([]byte, 10)
	lab.Pattern(2).Fill(ten, 0)
	if _, err := conn.Write(ten); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, ten); err != nil {
		return err
	}
	if lab.Pattern(1).Check(ten, 0) >= 0 {
		return fmt.Errorf("got %x, which is not what was sent", ten)
	}
	kind.end(conn)
	return nil
}

// tally reads the records of so many connections and counts what they have in common.
func (r *placed) tally(n int) map[string]int {
	counts := map[string]int{}
	for range n {
		line, err := r.records.ReadBytes('\n')
		if err != nil {
			counts[err.Error()]++
			break
		}
		c, err := record.Parse(line)
		if err != nil {
			counts[err.Error()]++
			continue
		}
		counts[c.Verdict.Cause]++
		if c.Upstream.Local == c.Downstream.Remote {
			counts["the client's port"]++
		}
		for word, action := range map[string]evidence.Action{"another port": evidence.OtherPort, "old one aborted": evidence.AbortedOld, "for a new one": evidence.ClientBack} {
			if did(c, action) {
				counts[word]++
			}
		}
	}
	return counts
}

func did(c *record.Connection, action evidence.Action) bool {
	return slices.ContainsFunc(c.Evidence.Observations, func(o evidence.Observation) bool { return o.What == action })
}

// sentAgain is how many SYNs the client's host has sent again.
func (r *placed) sentAgain() (n int) {
	r.t.Helper()
	text, err := r.Client.Run(exec.Command("cat", "/proc/net/netstat"))
	if err != nil {
		r.t.Fatal(err)
	}
	lines := strings.Split(text, "\n") // of each kind one with the names and one with the numbers
	at := slices.Index(strings.Fields(lines[0]), "TCPSynRetrans")
	if at < 0 {
		r.t.Fatalf("no TCPSynRetrans in %s", lines[0])
	}
	if _, err := fmt.Sscan(strings.Fields(lines[1])[at], &n); err != nil {
		r.t.Fatal(err)
	}
	return n
}
