package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
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

func TestTransparent(t *testing.T) {
	t.Parallel()
	for _, way := range []struct {
		place  rules.Placement
		mode   rules.Mode
		source rules.Source
	}{
		{rules.Router, rules.TProxy, rules.SourceClient},
		{rules.Router, rules.TProxy, rules.SourceClientIP},
		{rules.Router, rules.TProxy, rules.SourceOwn},
		{rules.Router, rules.Redirect, rules.SourceOwn},
		{rules.Server, rules.TProxy, rules.SourceOwn},
		{rules.Server, rules.Redirect, rules.SourceOwn},
		{rules.Client, rules.TProxy, rules.SourceOwn},
		{rules.Client, rules.Redirect, rules.SourceOwn},
	} {
		t.Run(fmt.Sprintf("%s %s, source %s", way.place, way.mode, way.source), func(t *testing.T) {
			t.Parallel()
			l := config.Listener{Deny: "10.77.2.99, fd77:2::99"}
			if way.place == rules.Server {
				l.OwnAddresses = config.GuardAllow
			}
			r := startPlaced(t, way.place, way.mode, way.source, l)
			r.apply()
			const size = 200_000
			whole := r.serve(80, lab.ReadAll(), lab.Write(size))
			resets := r.serve(81, lab.Read(100), lab.Reset())
			isReset := r.serve(82, lab.Read(100), lab.Write(100), lab.ReadAll())
			if err := r.Server.NFT("table inet lab { chain i { type filter hook input priority 0; tcp dport 84 reject with icmpx type admin-prohibited; }; }"); err != nil {
				t.Fatal(err)
			}
			for _, version := range []int{4, 6} {
				r.manyWhole(whole, r.server(version, 80), size)
				r.oneReset(resets, r.server(version, 81), diagnose.SideUpstream, lab.Write(100), lab.ReadAll())
				r.oneReset(isReset, r.server(version, 82), diagnose.SideDownstream, lab.Write(100), lab.Read(100), lab.Reset())
				r.nobodyThere(r.server(version, 83), "port_closed")
				if way.place == rules.Router { // elsewhere the rule would meet the client's packets, or the proxy is on the server's own host
					r.nobodyThere(r.server(version, 84), "icmp_reject")
				}
			}
			if way.place == rules.Router {
				r.refusals()
			}
		})
	}
}

// manyWhole carries fifty connections at a time, each of which must arrive whole both ways.
func (r *placed) manyWhole(peer *lab.Peer, to netip.AddrPort, size int64) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	const connections = 50
	var clients [connections]lab.Outcome
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			var err error
			if clients[i], err = r.run(ctx, to, lab.Write(size), lab.CloseWrite(), lab.ReadAll()); err != nil {
				r.t.Error(err)
			}
		})
	}
	all.Wait()
	servers := map[netip.AddrPort]lab.Outcome{}
	for range clients {
		out, err := peer.Next(ctx)
		if err != nil {
			r.t.Fatal(err)
		}
		servers[out.Remote] = out
	}
	for _, out := range append(clients[:], mapValues(servers)...) {
		if out.Read != size || out.Written != size || out.Damage != nil || out.End != lab.EndEOF {
			r.t.Errorf("to %v: %v, want %d whole bytes each way and a FIN", to, out, size)
		}
	}
	for range clients {
		c := r.record()
		client, seen := c.Downstream.Remote, c.Upstream.Local
		if out, ok := servers[seen]; !ok || out.Local != to {
			r.t.Errorf("the record has %v to %v, which the server did not see: %v", seen, c.Upstream.Remote, out)
		}
		if r.mode == rules.TProxy && !slices.ContainsFunc(clients[:], func(out lab.Outcome) bool { return out.Local == client }) {
			r.t.Errorf("the record has client %v, which there is not", client)
		}
		r.wantEnds(c, to, client, seen)
		if v := c.Verdict; v.Cause != "clean_close" || c.Target != "" || c.Listener != "all" {
			r.t.Errorf("got %s, target %q, listener %q, want clean_close without a target: %s", v.Cause, c.Target, c.Listener, v.Sentence)
		}
	}
}

func mapValues(m map[netip.AddrPort]lab.Outcome) (all []lab.Outcome) {
	for _, out := range m {
		all = append(all, out)
	}
	return all
}

// oneReset has one end of a connection reset it.
func (r *placed) oneReset(peer *lab.Peer, to netip.AddrPort, by diagnose.Side, steps ...lab.Step) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client, err := r.run(ctx, to, steps...)
	if err != nil {
		r.t.Fatal(err)
	}
	server, err := peer.Next(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	told := client
	if by == diagnose.SideDownstream {
		told = server
	}
	if told.End != lab.EndReset {
		r.t.Errorf("to %v: the other end has %v, want a reset", to, told)
	}
	c := r.record()
	r.wantEnds(c, to, client.Local, server.Remote)
	if v := c.Verdict; v.Side != by || v.Action != diagnose.Reset {
		r.t.Errorf("to %v: got %s on side %s, want a reset on side %s: %s", to, v.Action, v.Side, by, v.Sentence)
	}
}

// nobodyThere connects to a port on which nobody listens, or that a rule of the server's host rejects.
func (r *placed) nobodyThere(to netip.AddrPort, cause string) {
	r.t.Helper()
	r.dialInVain(to)
	c := r.record()
	if v := c.Verdict; v.Cause != cause || v.Side != diagnose.SideUpstream || c.Destination != to {
		r.t.Errorf("to %v: got %s on side %s, destination %v, want %s: %s", to, v.Cause, v.Side, c.Destination, cause, v.Sentence)
	}
}

// dialInVain connects to what must not answer. The proxy's reset may come as soon as its handshake.
func (r *placed) dialInVain(to netip.AddrPort) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if out, err := r.run(ctx, to, lab.ReadAll()); err == nil && out.End != lab.EndReset {
		r.t.Errorf("to %v: got %v, want a reset", to, out)
	}
}

// refusals are what must not be carried, and why the record says so.
func (r *placed) refusals() {
	r.t.Helper()
	for to, words := range map[string]string{
		"10.77.2.99:80":     "may not go to",
		"[fd77:2::99]:80":   "may not go to",
		"10.77.1.1:15001":   "straight to the listener",
		"[fd77:1::1]:15001": "straight to the listener",
	} {
		r.dialInVain(netip.MustParseAddrPort(to))
		c := r.record()
		if v := c.Verdict; v.Cause != "proxy_refused" || v.Side != diagnose.SideProxy || !strings.Contains(v.Sentence, words) {
			r.t.Errorf("to %s: got %s on side %s: %s; want proxy_refused: … %s …", to, v.Cause, v.Side, v.Sentence, words)
		}
		if known := strings.Contains(to, ":80"); known != (c.Destination == netip.MustParseAddrPort(to)) {
			r.t.Errorf("to %s: the record has destination %v", to, c.Destination)
		}
	}
}

// A client that comes back from its port, while the server has not yet taken what it sent before, is served: from the same
// port, its old connection ended, or from another one, and both go on. Or it is refused, and the old one goes on.
func TestTransparentClientComesBack(t *testing.T) {
	t.Parallel()
	for _, on := range []config.OnConflict{config.ConflictAbortOld, config.ConflictOtherPort, config.ConflictRefuse} {
		t.Run(string(on), func(t *testing.T) {
			t.Parallel()
			r := startPlaced(t, rules.Router, rules.TProxy, rules.SourceClient, config.Listener{OnConflict: on})
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
	if !slices.ContainsFunc(c.Evidence.Observations, func(o evidence.Observation) bool { return o.What == want }) {
		r.t.Errorf("the record of %v has no action %d: %v", c.Downstream.Remote, want, c.Evidence.Observations)
	}
}

type endlessZeros struct{}

func (endlessZeros) Read(b []byte) (int, error) { return len(b), nil }

// dialFrom connects from a port of the client's as soon as its own kernel lets it: until the last FIN of the connection
// before is acknowledged (LAST_ACK), the port is taken.
func (r *placed) dialFrom(from, to netip.AddrPort) *net.TCPConn {
	r.t.Helper()
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(from), Timeout: patience}
	dialer.SetMultipathTCP(false)
	var conn net.Conn
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		err := r.Client.Do(func() (err error) {
			conn, err = dialer.Dial("tcp", to.String())
			return err
		})
		if err == nil {
			break
		}
		if taken := errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL); !taken || time.Now().After(deadline) {
			r.t.Fatal(err)
		}
	}
	conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn)
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

// A redirect without exemption, made by hand, is a loop. It is refused at once, with one record that says so.
func TestTransparentLoop(t *testing.T) {
	t.Parallel()
	r := startPlaced(t, rules.Client, rules.Redirect, rules.SourceOwn, config.Listener{})
	if err := r.Client.NFT("table inet loop { chain o { type nat hook output priority -100; tcp dport 80 redirect to :15001; }; }"); err != nil {
		t.Fatal(err)
	}
	const connections = 10
	for range connections {
		r.dialInVain(r.server(4, 80))
		r.dialInVain(r.server(6, 80))
	}
	r.stop.Close()
	records, loops := 0, 0
	for {
		line, err := r.records.ReadBytes('\n')
		if err != nil {
			break
		}
		c, err := record.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		records++
		if c.Verdict.Cause == "proxy_refused" && strings.Contains(c.Verdict.Sentence, "come back") {
			loops++
		}
	}
	// Another loop of events may accept a connection a moment before it is known as ours: then the next hop finds it.
	if loops != 2*connections || records < 4*connections || records > 10*connections {
		t.Errorf("%d connections became %d, %d of them refused as loops, want about %d and %d", 2*connections, records, loops, 4*connections, 2*connections)
	}
}

// A client that uses one port again and again, as soon as it may, is refused nothing that works without the proxy, and does
// not have to ask twice.
func TestTransparentPortUsedAgain(t *testing.T) {
	t.Parallel()
	r := startPlaced(t, rules.Router, rules.TProxy, rules.SourceClient, config.Listener{})
	r.apply()
	const connections, size = 1000, 1000
	r.serve(80, lab.Write(size)) // it closes first, so the client may use its port at once
	records := make(chan error, 1)
	go func() {
		for range connections {
			line, err := r.records.ReadBytes('\n')
			if err != nil {
				records <- err
				return
			}
			if c, err := record.Parse(line); err != nil || c.Verdict.Cause != "clean_close" {
				records <- fmt.Errorf("%v: %s", err, line)
				return
			}
		}
		records <- nil
	}()
	for i := range connections {
		from, to := netip.AddrPortFrom(r.Client.Addr4(), 40000), r.server(4, 80)
		if i%2 == 1 {
			from, to = netip.AddrPortFrom(r.Client.Addr6(), 40000), r.server(6, 80)
		}
		out := lab.Run(context.Background(), r.dialFrom(from, to), lab.Script{Expects: 1, Steps: steps(lab.ReadAll())})
		if out.Read != size || out.Damage != nil || out.End != lab.EndEOF {
			t.Fatalf("connection %d: %v, want %d bytes and a FIN", i, out, size)
		}
	}
	if err := <-records; err != nil {
		t.Error(err)
	}
	// A SYN that meets what is left of the last connection, in place of the listener, is challenged and sent again.
	if again := r.sentAgain(); again > connections/20 {
		t.Errorf("%d of %d connections needed a second SYN", again, connections)
	}
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
