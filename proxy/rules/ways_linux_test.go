package rules_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"whyreset/integration/lab"
	"whyreset/proxy/rules"
)

func newNet(t *testing.T) *lab.Net {
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
	return n
}

// place is where a placement is tried, and what the server is to see with each source.
type place struct {
	name      string
	placement rules.Placement
	only      rules.Direction
	host      func(*lab.Net) *lab.Host
	own       func(n *lab.Net, version int) netip.Addr
}

var places = []place{
	{"router", rules.Router, "", func(n *lab.Net) *lab.Host { return n.Router },
		func(n *lab.Net, version int) netip.Addr {
			return map[int]netip.Addr{4: netip.MustParseAddr("10.77.2.1"), 6: netip.MustParseAddr("fd77:2::1")}[version]
		}},
	{"server", rules.Server, "", func(n *lab.Net) *lab.Host { return n.Server }, func(n *lab.Net, version int) netip.Addr { return addr(n.Server, version) }},
	{"client", rules.Client, "", func(n *lab.Net) *lab.Host { return n.Client }, func(n *lab.Net, version int) netip.Addr { return addr(n.Client, version) }},
	{"pod of a server", rules.Pod, "", func(n *lab.Net) *lab.Host { return n.Server }, func(n *lab.Net, version int) netip.Addr { return addr(n.Server, version) }},
	{"pod of a client", rules.Pod, "", func(n *lab.Net) *lab.Host { return n.Client }, func(n *lab.Net, version int) netip.Addr { return addr(n.Client, version) }},
	{"pod, only in", rules.Pod, rules.In, func(n *lab.Net) *lab.Host { return n.Server }, func(n *lab.Net, version int) netip.Addr { return addr(n.Server, version) }},
	{"pod, only out", rules.Pod, rules.Out, func(n *lab.Net) *lab.Host { return n.Client }, func(n *lab.Net, version int) netip.Addr { return addr(n.Client, version) }},
}

func addr(h *lab.Host, version int) netip.Addr {
	if version == 4 {
		return h.Addr4()
	}
	return h.Addr6()
}

func settings(p place, mode rules.Mode, source rules.Source) rules.Settings {
	return rules.Settings{Placement: p.placement, Mark: rules.DefaultMark, Captures: []rules.Capture{{
		Name: "db", Mode: mode, Source: source, Port: 15001, Ports: []rules.PortRange{{80, 81}, {90, 95}}, Only: p.only}}}
}

// apply makes a plan and applies it in a host.
func apply(t *testing.T, h *lab.Host, s rules.Settings) (*rules.Plan, string) {
	t.Helper()
	plan, err := rules.New(s)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.json")
	if err := h.Do(func() error { return plan.Apply(t.Context(), file) }); err != nil {
		t.Fatal(err)
	}
	return plan, file
}

// look is all that the kernel tells of rules and routes, and the parameters that plans touch.
func look(t *testing.T, h *lab.Host) string {
	t.Helper()
	out, err := h.Run(exec.Command("/bin/sh", "-c", `PATH=$PATH:/usr/sbin:/sbin
nft -s list ruleset && ip -d rule && ip -6 -d rule && ip route show table all && ip -6 route show table all &&
grep . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv[46]/conf/*/forwarding /proc/sys/net/ipv4/conf/*/accept_redirects`))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantSame(t *testing.T, when, before, after string) {
	t.Helper()
	if before != after {
		t.Errorf("%s:\n%s\nwant what was there before:\n%s", when, after, before)
	}
}

// tell serves: it writes which addresses it sees, and sends back what it gets.
func tell(t *testing.T, h *lab.Host, port int) {
	t.Helper()
	ln, err := h.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprintf(conn, "%v %v\n", conn.RemoteAddr(), conn.LocalAddr())
				io.Copy(conn, conn)
			}()
		}
	}()
}

// reuse lets a client use one port for several destinations.
func reuse(_, _ string, c syscall.RawConn) (err error) {
	return errors.Join(err, c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) }))
}

// talk is a connection to a server of tell.
type talk struct {
	net.Conn
	saw, at netip.AddrPort // the server's view: the peer's address and its own
}

func dial(from *lab.Host, to netip.AddrPort) (*talk, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return dialWithin(ctx, from, to)
}

func dialWithin(ctx context.Context, from *lab.Host, to netip.AddrPort) (*talk, error) {
	return dialContext(ctx, from, netip.AddrPort{}, to)
}

// dialContext connects, from a given port if there is one, and reads what the server says.
func dialContext(ctx context.Context, h *lab.Host, from, to netip.AddrPort) (*talk, error) {
	var conn net.Conn
	dialer := net.Dialer{Control: reuse}
	dialer.SetMultipathTCP(false)
	if from.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(from)
	}
	err := h.Do(func() (err error) {
		conn, err = dialer.DialContext(ctx, "tcp", to.String())
		return err
	})
	if err != nil {
		return nil, err
	}
	k := &talk{Conn: conn}
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	var line []byte
	for one := make([]byte, 1); one[0] != '\n'; line = append(line, one[0]) {
		if _, err := io.ReadFull(conn, one); err != nil {
			conn.Close()
			return nil, err
		}
	}
	conn.SetDeadline(time.Time{})
	saw, at, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
	if k.saw, err = netip.ParseAddrPort(saw); err == nil {
		k.at, err = netip.ParseAddrPort(at)
	}
	return k, err
}

// echo sends bytes and wants them back.
func (k *talk) echo() error {
	k.SetDeadline(time.Now().Add(patience))
	sent, got := make([]byte, 3000), make([]byte, 3000)
	for i := range sent {
		sent[i] = byte(rand.Uint32())
	}
	if _, err := k.Write(sent); err != nil {
		return err
	}
	if _, err := io.ReadFull(k, got); err != nil {
		return err
	}
	if !bytes.Equal(sent, got) {
		return fmt.Errorf("other bytes came back than were sent")
	}
	return nil
}

func (k *talk) local() netip.AddrPort { return k.LocalAddr().(*net.TCPAddr).AddrPort() }

// Every way that is said to be possible is: the server sees whom it is to see, and the destination is the client's.
func TestEveryWay(t *testing.T) {
	t.Parallel()
	for _, p := range places {
		for _, triple := range rules.Triples {
			if triple.Placement != p.placement || triple.Reason != "" {
				continue
			}
			t.Run(fmt.Sprintf("%s %s %s", p.name, triple.Mode, triple.Source), func(t *testing.T) {
				t.Parallel()
				tryWay(t, p, settings(p, triple.Mode, triple.Source))
			})
		}
	}
}

func tryWay(t *testing.T, p place, s rules.Settings) {
	n := newNet(t)
	h, c := p.host(n), s.Captures[0]
	for _, port := range []int{81, 93, 7} {
		tell(t, n.Server, port)
	}
	before := look(t, h)
	plan, file := apply(t, h, s)
	proxy := startProxy(t, h, s, c, nil)

	const connections = 50
	for _, version := range []int{4, 6} {
		for i := range connections {
			to := netip.AddrPortFrom(addr(n.Server, version), []uint16{81, 93}[i%2])
			k, err := dial(n.Client, to)
			if err != nil {
				t.Fatalf("IPv%d, connection %d: %v; the proxy says %+v", version, i, err, proxy.next(t))
			}
			if err := k.echo(); err != nil {
				t.Fatalf("IPv%d, connection %d: %v", version, i, err)
			}
			got, client := proxy.next(t), k.local()
			if c.Mode == rules.Redirect { // the port may be another one: see intercept/redirect.go
				client = netip.AddrPortFrom(client.Addr(), got.Client.Port())
			}
			if got.Client != client || got.To != to {
				t.Fatalf("IPv%d: the proxy had a connection from %v to %v, want from %v to %v", version, got.Client, got.To, k.local(), to)
			}
			if k.at != to {
				t.Fatalf("IPv%d: the server was reached at %v, want %v", version, k.at, to)
			}
			switch want := k.local(); {
			case c.Source == rules.SourceClient && k.saw != want:
				t.Fatalf("IPv%d: the server saw %v, want %v", version, k.saw, want)
			case c.Source == rules.SourceClientIP && (k.saw.Addr() != want.Addr() || k.saw == want):
				t.Fatalf("IPv%d: the server saw %v, want %v with another port", version, k.saw, want.Addr())
			case c.Source == rules.SourceOwn && (k.saw.Addr() != p.own(n, version) || k.saw == want):
				t.Fatalf("IPv%d: the server saw %v, want the proxy's own %v", version, k.saw, p.own(n, version))
			}
			k.Close()
		}
		// A port that was not asked for is left alone.
		k, err := dial(n.Client, netip.AddrPortFrom(addr(n.Server, version), 7))
		if err != nil {
			t.Fatalf("IPv%d, a port that is not captured: %v", version, err)
		}
		if k.saw != k.local() {
			t.Errorf("IPv%d, a port that is not captured: the server saw %v, want %v", version, k.saw, k.local())
		}
		k.Close()
	}

	proxy.kill()
	for _, version := range []int{4, 6} {
		to := netip.AddrPortFrom(addr(n.Server, version), 81)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		k, err := dialWithin(ctx, n.Client, to)
		cancel()
		// What of a pod is dead depends on the direction.
		open := plan.WhenDead()[0].Open || p.name == "pod of a server" && c.Mode == rules.TProxy
		if (err == nil) != open || err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("IPv%d, proxy killed: got %v, but the plan says: %s", version, err, plan.WhenDead()[0].Text)
		}
		if err == nil {
			if k.saw != k.local() {
				t.Errorf("IPv%d, proxy killed: the server saw %v, want %v directly", version, k.saw, k.local())
			}
			k.Close()
		}
	}

	if err := h.Do(func() error { return rules.Remove(t.Context(), file) }); err != nil {
		t.Fatal(err)
	}
	wantSame(t, "after Remove", before, look(t, h))
	for _, version := range []int{4, 6} {
		k, err := dial(n.Client, netip.AddrPortFrom(addr(n.Server, version), 81))
		if err != nil {
			t.Fatalf("IPv%d, rules removed: %v", version, err)
		}
		k.Close()
	}
}
