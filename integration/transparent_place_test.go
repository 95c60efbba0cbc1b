package integration

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"whyreset/config"
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

// stand is where a proxy can stand.
type stand struct {
	name      string
	placement rules.Placement
	host      func(*lab.Net) *lab.Host
	own       [2]netip.Addr // of that host towards the server, IPv4 and IPv6
	near      bool          // to the server: it is on the same host
}

// The proxy is not on the lab's router but on a gateway in front of it, where there is one: so a box lies between it and
// the server that can reject.
var (
	atRouter = stand{"router", rules.Router, func(n *lab.Net) *lab.Host { return cmp.Or(n.Gateway, n.Router) },
		[2]netip.Addr{netip.MustParseAddr("10.77.3.1"), netip.MustParseAddr("fd77:3::1")}, false}
	atServer    = stand{"server", rules.Server, func(n *lab.Net) *lab.Host { return n.Server }, serverAddrs, true}
	atClient    = stand{"client", rules.Client, func(n *lab.Net) *lab.Host { return n.Client }, clientAddrs, false}
	inServerPod = stand{"pod of a server", rules.Pod, func(n *lab.Net) *lab.Host { return n.Server }, serverAddrs, true}
	inClientPod = stand{"pod of a client", rules.Pod, func(n *lab.Net) *lab.Host { return n.Client }, clientAddrs, false}

	stands = []stand{atRouter, atServer, atClient, inServerPod, inClientPod}

	serverAddrs = [2]netip.Addr{netip.MustParseAddr("10.77.2.2"), netip.MustParseAddr("fd77:2::2")}
	clientAddrs = [2]netip.Addr{netip.MustParseAddr("10.77.1.2"), netip.MustParseAddr("fd77:1::2")}
)

// placed is a lab where the client's connections to the server's ports 80 to 89 go through the proxy on one of the hosts.
type placed struct {
	*lab.Net
	t       *testing.T
	stand   stand
	mode    rules.Mode
	source  rules.Source
	user    *uint32   // by whom the rules know the proxy; nil: by its mark
	stop    io.Closer // closed, it ends the proxy
	records *bufio.Reader
	early   map[netip.AddrPort][]*record.Connection // that recordTo came across, by destination
}

// host is where the proxy stands.
func (r *placed) host() *lab.Host { return r.stand.host(r.Net) }

// startPlaced starts the proxy. Nothing leads to it before apply.
func startPlaced(t *testing.T, at stand, mode rules.Mode, source rules.Source, l config.Listener) *placed {
	t.Helper()
	return startPlacedIn(t, lab.Options{}, at, mode, source, l, nil)
}

// startPlacedIn is startPlaced in a certain network, with a say in how the process is started.
func startPlacedIn(t *testing.T, o lab.Options, at stand, mode rules.Mode, source rules.Source, l config.Listener, as func(*exec.Cmd)) *placed {
	t.Helper()
	if skip, err := lab.Need(lab.Netns, lab.NFT); err != nil {
		t.Fatal(err)
	} else if skip != "" {
		t.Skip(skip)
	}
	if at.placement == rules.Router {
		o.Gateway = lab.BesideClient
	}
	n, err := lab.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("closing the lab: %v", err)
		}
	})
	l.Name, l.Mode, l.Source, l.Address = "all", config.Mode(mode), config.SourceAddr(source), ":15001"
	if at.near {
		l.OwnAddresses = config.GuardAllow
	}
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	cmd := program("transparent " + string(text))
	if as != nil {
		as(cmd)
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r := &placed{Net: n, t: t, stand: at, mode: mode, source: source, stop: in, records: bufio.NewReader(out),
		early: map[netip.AddrPort][]*record.Connection{}}
	if err := r.host().Start(cmd); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(2*patience, func() { cmd.Process.Kill() })
	t.Cleanup(func() {
		in.Close()
		io.Copy(io.Discard, r.records) // those of a test that failed, for which it waits
		cmd.Wait()
		if !stuck.Stop() {
			t.Errorf("the proxy did not end within %v", 2*patience)
		}
	})
	if line, err := r.records.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the proxy said %q, %v, want ready", line, err)
	}
	return r
}

// apply puts the rules in place that lead to the proxy.
func (r *placed) apply() {
	r.t.Helper()
	settings := rules.Settings{Placement: r.stand.placement, Mark: rules.DefaultMark, User: r.user, Captures: []rules.Capture{
		{Name: "all", Mode: r.mode, Source: r.source, Port: 15001, Ports: []rules.PortRange{{First: 80, Last: 89}}}}}
	if r.user != nil {
		settings.Mark = 0
	}
	plan, err := rules.New(settings)
	if err != nil {
		r.t.Fatal(err)
	}
	state := filepath.Join(r.t.TempDir(), "rules.json")
	if err := r.host().Do(func() error { return plan.Apply(context.Background(), state) }); err != nil {
		r.t.Fatal(err)
	}
}

// patience bounds what must happen soon, on a machine that has much else to do.
const patience = time.Minute

// record is the next one.
func (r *placed) record() *record.Connection {
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

// recordTo is the next one with that destination.
func (r *placed) recordTo(to netip.AddrPort) *record.Connection {
	r.t.Helper()
	for len(r.early[to]) == 0 {
		c := r.record()
		r.early[c.Destination] = append(r.early[c.Destination], c)
	}
	first := r.early[to][0]
	r.early[to] = r.early[to][1:]
	return first
}

func (r *placed) server(version int, port uint16) netip.AddrPort {
	if version == 4 {
		return netip.AddrPortFrom(r.Server.Addr4(), port)
	}
	return netip.AddrPortFrom(r.Server.Addr6(), port)
}

func (r *placed) client(version int, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(r.clientAddr(r.server(version, port)), port)
}

// clientAddr is the client's address of the same IP version.
func (r *placed) clientAddr(to netip.AddrPort) netip.Addr {
	if to.Addr().Is4() {
		return r.Client.Addr4()
	}
	return r.Client.Addr6()
}

func (r *placed) serve(port uint16, steps ...lab.Step) *lab.Peer {
	r.t.Helper()
	ln, err := r.Server.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		r.t.Fatal(err)
	}
	peer := lab.Serve(ln, lab.Script{Sends: 1, Expects: 2, Steps: steps})
	r.t.Cleanup(peer.Stop)
	return peer
}

func (r *placed) run(ctx context.Context, to netip.AddrPort, steps ...lab.Step) (lab.Outcome, error) {
	conn, err := r.Client.Dial(ctx, "tcp", to)
	if err != nil {
		return lab.Outcome{}, err
	}
	return lab.Run(ctx, conn, lab.Script{Sends: 2, Expects: 1, Steps: steps}), nil
}

// wantEnds compares a record's addresses with what client and server saw of each other.
func (r *placed) wantEnds(c *record.Connection, to, client, seen netip.AddrPort) {
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
	case r.source == rules.SourceOwn && !slices.Contains(r.stand.own[:], seen.Addr()):
		r.t.Errorf("the server saw %v, want the proxy's host, %v", seen, r.host())
	}
}
