package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"whyreset/config"
	"whyreset/diagnose"
	"whyreset/diagnose/record"
	"whyreset/integration/lab"
	"whyreset/proxy"
	"whyreset/proxy/rules"
)

func init() { relayParts["transparent"] = playTransparent }

// playTransparent is the whole proxy with the listener that its arguments describe. It writes "ready" and then its records.
func playTransparent(arguments string) error {
	cfg := config.Defaults()
	cfg.Listeners = make([]config.Listener, 1)
	if err := json.Unmarshal([]byte(arguments), &cfg.Listeners[0]); err != nil {
		return err
	}
	cfg.Complete()
	if err := cfg.Validate(); err != nil {
		return err
	}
	s, err := proxy.New(cfg, &writtenRecords{})
	if err != nil {
		return err
	}
	s.Start()
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	now, cancel := context.WithCancel(context.Background())
	cancel()
	s.Stop(now)
	return nil
}

// writtenRecords is a log on standard output.
type writtenRecords struct{ mu sync.Mutex }

func (w *writtenRecords) Connection(c *record.Connection) {
	w.mu.Lock()
	defer w.mu.Unlock()
	os.Stdout.Write(append(bytes.TrimSpace(record.Append(nil, c)), '\n'))
}
func (w *writtenRecords) Started(*record.Connection) {}
func (w *writtenRecords) Notice(record.Notice)       {}

// onRouter is a lab whose router carries the client's connections to the server's ports 80 to 89 through the proxy.
type onRouter struct {
	*lab.Net
	t       *testing.T
	mode    rules.Mode
	source  rules.Source
	records *bufio.Reader
}

func startOnRouter(t *testing.T, mode rules.Mode, source rules.Source, l config.Listener) *onRouter {
	t.Helper()
	if skip, err := lab.Need(lab.Netns, lab.NFT); err != nil {
		t.Fatal(err)
	} else if skip != "" {
		t.Skip(skip)
	}
	n, err := lab.New(lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("closing the lab: %v", err)
		}
	})
	l.Name, l.Mode, l.Source, l.Address = "all", config.Mode(mode), config.SourceAddr(source), ":15001"
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	cmd := program("transparent " + string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Router.Start(cmd); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(2*patience, func() { cmd.Process.Kill() })
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
		if !stuck.Stop() {
			t.Errorf("the proxy did not end within %v", 2*patience)
		}
	})
	r := &onRouter{Net: n, t: t, mode: mode, source: source, records: bufio.NewReader(out)}
	if line, err := r.records.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the proxy said %q, %v, want ready", line, err)
	}
	plan, err := rules.New(rules.Settings{Placement: rules.Router, Mark: rules.DefaultMark, Captures: []rules.Capture{
		{Name: "all", Mode: mode, Source: source, Port: 15001, Ports: []rules.PortRange{{First: 80, Last: 89}}}}})
	if err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(t.TempDir(), "rules.json")
	if err := n.Router.Do(func() error { return plan.Apply(context.Background(), state) }); err != nil {
		t.Fatal(err)
	}
	return r
}

// patience bounds what must happen soon, on a machine that has much else to do.
const patience = time.Minute

// record is the next one.
func (r *onRouter) record() *record.Connection {
	r.t.Helper()
	line, err := r.records.ReadBytes('\n')
	if err != nil {
		r.t.Fatalf("no record came: %v", err)
	}
	c, err := record.Parse(line)
	if err != nil {
		r.t.Fatalf("%v: %s", err, line)
	}
	return c
}

func (r *onRouter) server(version int, port uint16) netip.AddrPort {
	if version == 4 {
		return netip.AddrPortFrom(r.Server.Addr4(), port)
	}
	return netip.AddrPortFrom(r.Server.Addr6(), port)
}

func (r *onRouter) serve(port uint16, steps ...lab.Step) *lab.Peer {
	r.t.Helper()
	ln, err := r.Server.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		r.t.Fatal(err)
	}
	peer := lab.Serve(ln, lab.Script{Sends: 1, Expects: 2, Steps: steps})
	r.t.Cleanup(peer.Stop)
	return peer
}

func (r *onRouter) run(ctx context.Context, to netip.AddrPort, steps ...lab.Step) (lab.Outcome, error) {
	conn, err := r.Client.Dial(ctx, "tcp", to)
	if err != nil {
		return lab.Outcome{}, err
	}
	return lab.Run(ctx, conn, lab.Script{Sends: 2, Expects: 1, Steps: steps}), nil
}

// wantEnds compares a record's addresses with what client and server saw of each other.
func (r *onRouter) wantEnds(c *record.Connection, to, client, seen netip.AddrPort) {
	r.t.Helper()
	if c.Destination != to || c.Upstream.Remote != to || c.Upstream.Local != seen {
		r.t.Errorf("the record has %v, and upstream %v, want %v from %v", c.Destination, c.Upstream, to, seen)
	}
	if c.Downstream.Remote.Addr() != client.Addr() || r.mode == rules.TProxy && c.Downstream.Remote != client {
		r.t.Errorf("the record has client %v, want %v", c.Downstream.Remote, client)
	}
	switch {
	case r.source == rules.SourceClient && seen != client:
		r.t.Errorf("the server saw %v, want the client's own %v", seen, client)
	case r.source == rules.SourceClientIP && seen.Addr() != client.Addr():
		r.t.Errorf("the server saw %v, want the client's address %v", seen, client.Addr())
	case r.source == rules.SourceOwn && seen.Addr() != netip.MustParseAddr("10.77.2.1") && seen.Addr() != netip.MustParseAddr("fd77:2::1"):
		r.t.Errorf("the server saw %v, want the router", seen)
	}
}

func TestTransparentOnRouter(t *testing.T) {
	t.Parallel()
	for _, way := range []struct {
		mode   rules.Mode
		source rules.Source
	}{
		{rules.TProxy, rules.SourceClient}, {rules.TProxy, rules.SourceClientIP}, {rules.TProxy, rules.SourceOwn},
		{rules.Redirect, rules.SourceClientIP}, {rules.Redirect, rules.SourceOwn},
	} {
		t.Run(fmt.Sprintf("%s, source %s", way.mode, way.source), func(t *testing.T) {
			t.Parallel()
			r := startOnRouter(t, way.mode, way.source, config.Listener{Deny: "10.77.2.99, fd77:2::99"})
			const size = 200_000
			whole := r.serve(80, lab.ReadAll(), lab.Write(size))
			resets := r.serve(81, lab.Read(100), lab.Reset())
			isReset := r.serve(82, lab.Read(100), lab.Write(100), lab.ReadAll())
			for _, version := range []int{4, 6} {
				r.manyWhole(whole, r.server(version, 80), size)
				r.oneReset(resets, r.server(version, 81), diagnose.SideUpstream, lab.Write(100), lab.ReadAll())
				r.oneReset(isReset, r.server(version, 82), diagnose.SideDownstream, lab.Write(100), lab.Read(100), lab.Reset())
				r.nobodyThere(r.server(version, 83))
			}
			r.refusals()
		})
	}
}

// manyWhole carries fifty connections at a time, each of which must arrive whole both ways.
func (r *onRouter) manyWhole(peer *lab.Peer, to netip.AddrPort, size int64) {
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
func (r *onRouter) oneReset(peer *lab.Peer, to netip.AddrPort, by diagnose.Side, steps ...lab.Step) {
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

// nobodyThere connects to a port on which nobody listens.
func (r *onRouter) nobodyThere(to netip.AddrPort) {
	r.t.Helper()
	r.dialInVain(to)
	c := r.record()
	if v := c.Verdict; v.Cause != "port_closed" || v.Side != diagnose.SideUpstream || c.Destination != to {
		r.t.Errorf("to %v: got %s on side %s, destination %v: %s", to, v.Cause, v.Side, c.Destination, v.Sentence)
	}
}

// dialInVain connects to what must not answer. The proxy's reset may come as soon as its handshake.
func (r *onRouter) dialInVain(to netip.AddrPort) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if out, err := r.run(ctx, to, lab.ReadAll()); err == nil && out.End != lab.EndReset {
		r.t.Errorf("to %v: got %v, want a reset", to, out)
	}
}

// refusals are what must not be carried, and why the record says so.
func (r *onRouter) refusals() {
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

// A client that comes back from its port, while the server has not yet taken what it sent before, is served from another.
func TestTransparentClientComesBack(t *testing.T) {
	t.Parallel()
	r := startOnRouter(t, rules.TProxy, rules.SourceClient, config.Listener{})
	ln, err := r.Server.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, version := range []int{4, 6} {
		to := r.server(version, 80)
		from := netip.AddrPortFrom(r.Client.Addr4(), 40000)
		if version == 6 {
			from = netip.AddrPortFrom(r.Client.Addr6(), 40000)
		}
		first := r.dialFrom(from, to)
		held := r.acceptOn(ln)
		first.SetWriteDeadline(time.Now().Add(time.Second))
		written, err := io.CopyN(first, endlessZeros{}, 1<<30)
		if err == nil {
			t.Fatal("the server, which reads nothing, took 1 GiB")
		}
		first.SetLinger(0)
		first.Close()

		second := r.dialFrom(from, to)
		defer second.Close()
		if _, err := io.WriteString(second, "hello"); err != nil {
			t.Fatal(err)
		}
		server := r.acceptOn(ln)
		defer server.Close()
		text := make([]byte, 5)
		if _, err := io.ReadFull(server, text); err != nil || string(text) != "hello" {
			t.Fatalf("got %q, %v, want hello", text, err)
		}
		got := server.RemoteAddr().(*net.TCPAddr).AddrPort()
		got = netip.AddrPortFrom(got.Addr().Unmap(), got.Port())
		if got.Addr() != from.Addr() || got == from {
			t.Errorf("IPv%d: the server saw %v, want %v with another port", version, got, from.Addr())
		}
		n, err := io.Copy(io.Discard, held)
		if n == 0 || n > written || !isReset(err) {
			t.Errorf("IPv%d: the first server got %d of %d bytes and %v, want a reset behind some", version, n, written, err)
		}
		held.Close()
		if v := r.record().Verdict; v.Side != diagnose.SideDownstream {
			t.Errorf("IPv%d: got %s on side %s: %s", version, v.Cause, v.Side, v.Sentence)
		}
		second.Close()
		server.Close()
		if c := r.record(); c.Upstream.Local != got || c.Downstream.Remote != from || c.Destination != to {
			t.Errorf("IPv%d: the record has %v and %v to %v", version, c.Downstream, c.Upstream, c.Destination)
		}
	}
}

type endlessZeros struct{}

func (endlessZeros) Read(b []byte) (int, error) { return len(b), nil }

func (r *onRouter) dialFrom(from, to netip.AddrPort) *net.TCPConn {
	r.t.Helper()
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(from), Timeout: patience}
	dialer.SetMultipathTCP(false)
	var conn net.Conn
	if err := r.Client.Do(func() (err error) {
		conn, err = dialer.Dial("tcp", to.String())
		return err
	}); err != nil {
		r.t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn)
}

func (r *onRouter) acceptOn(ln net.Listener) net.Conn {
	r.t.Helper()
	ln.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	conn, err := ln.Accept()
	if err != nil {
		r.t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}
