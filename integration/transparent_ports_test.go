package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
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
	r := startPlaced(t, onRouter, rules.TProxy, rules.SourceClient, config.Listener{})
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
	name   string
	server []lab.Step
	end    func(net.Conn) // what the client does after the answer
}

var shorts = []short{
	{"the server closes first", steps(lab.Read(10), lab.Write(10)), func(conn net.Conn) {
		io.Copy(io.Discard, conn) // up to its FIN
		conn.Close()
	}},
	{"the client resets", steps(lab.Read(10), lab.Write(10), lab.ReadAll()), func(conn net.Conn) {
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}},
}

// Short connections, from ports that are used again as fast as a client can: none is refused through the proxy, as none is
// without, and the server sees the port of the client.
func TestTransparentPortsUsedFast(t *testing.T) {
	t.Parallel()
	for _, kind := range shorts {
		for _, version := range []int{4, 6} {
			t.Run(fmt.Sprintf("%s, IPv%d", kind.name, version), func(t *testing.T) {
				t.Parallel()
				n := 5000
				if underRaceDetector() {
					n = 1000
				}
				r := startPlaced(t, onRouter, rules.TProxy, rules.SourceClient, config.Listener{})
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
				if counts["the client's port"] != n {
					t.Errorf("got %v, want the client's own port in all %d", counts, n)
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
	for range 16 {
		all.Go(func() {
			dialer := net.Dialer{Timeout: patience}
			dialer.SetMultipathTCP(false)
			err := r.Client.Do(func() error {
				for left.Add(-1) >= 0 {
					if err := once(&dialer, kind, to); err != nil && failed.Add(1) == 1 {
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
