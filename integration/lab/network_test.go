package lab_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"whyreset/integration/lab"
)

// families are the addresses of one host, by the name of their kind.
func families(h *lab.Host) map[string]netip.Addr {
	return map[string]netip.Addr{"IPv4": h.Addr4(), "IPv6": h.Addr6()}
}

// serve puts a peer on the host that sends 5 bytes, reads to the end and closes.
func serve(t *testing.T, h *lab.Host, port uint16) *lab.Peer {
	t.Helper()
	ln, err := h.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		t.Fatal(err)
	}
	p := lab.Serve(ln, lab.Script{Steps: []lab.Step{lab.Write(5), lab.ReadAll()}})
	t.Cleanup(p.Stop)
	return p
}

// reach connects, sends 7 bytes and reads to the end.
func reach(ctx context.Context, from *lab.Host, to netip.AddrPort) error {
	conn, err := from.Dial(ctx, "tcp", to)
	if err != nil {
		return err
	}
	out := lab.Run(ctx, conn, lab.Script{Steps: []lab.Step{lab.Write(7), lab.CloseWrite(), lab.ReadAll()}})
	if out.Read != 5 || out.End != lab.EndEOF || out.Damage != nil || out.WriteErr != nil || out.Trouble != nil {
		return fmt.Errorf("connection to %v: %v", to, out)
	}
	return nil
}

func TestHostsReachEachOther(t *testing.T) {
	t.Parallel()
	for _, o := range []lab.Options{{}, {Gateway: lab.BesideClient}, {Gateway: lab.BesideServer}, {Gateway: lab.BesideServer, Delay: time.Millisecond}} {
		n := newNetWith(t, o)
		hosts := []*lab.Host{n.Client, n.Router, n.Server}
		if n.Gateway != nil {
			hosts = append(hosts, n.Gateway)
		}
		for _, h := range hosts {
			serve(t, h, 80)
		}
		for _, from := range hosts {
			for _, to := range hosts {
				for family, addr := range families(to) {
					t.Run(fmt.Sprintf("%+v %v to %v by %s", o, from, to, family), func(t *testing.T) {
						if err := reach(withTimeout(t), from, netip.AddrPortFrom(addr, 80)); err != nil {
							t.Fatal(err)
						}
					})
				}
			}
		}
	}
}

// A packet sent before a link is up is lost, and a SYN comes again after a second (RFC 6298 §2.1).
func TestFirstSYNArrives(t *testing.T) {
	t.Parallel()
	for range 10 {
		n := newNet(t)
		serve(t, n.Server, 80)
		for family, addr := range families(n.Server) {
			if err := reach(withTimeout(t), n.Client, netip.AddrPortFrom(addr, 80)); err != nil {
				t.Fatalf("%s: %v", family, err)
			}
		}
		for _, h := range []*lab.Host{n.Client, n.Server} {
			err := h.Do(func() error {
				text, err := os.ReadFile("/proc/thread-self/net/netstat")
				if err != nil {
					return err
				}
				if got := counter(string(text), "TcpExt:", "TCPSynRetrans"); got != "0" {
					t.Errorf("%v sent %s SYNs again, want 0", h, got)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// counter finds a value in a file of pairs of lines, one of names and one of numbers.
func counter(text, protocol, name string) string {
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != protocol {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i := range names {
			if names[i] == name && i < len(fields) {
				return fields[i]
			}
		}
	}
	return "nothing called " + name
}

func TestTwoNetsAtOnce(t *testing.T) {
	t.Parallel()
	one, two := newNet(t, lab.NFT), newNet(t, lab.NFT)
	serve(t, one.Server, 80)
	serve(t, two.Server, 80) // the same address and port
	if err := two.Server.NFT(rule("input", "tcp dport 80 reject with tcp reset")); err != nil {
		t.Fatal(err)
	}
	for family, addr := range families(one.Server) {
		to := netip.AddrPortFrom(addr, 80)
		if err := reach(withTimeout(t), one.Client, to); err != nil {
			t.Errorf("%s in the first: %v", family, err)
		}
		if err := reach(withTimeout(t), two.Client, to); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s in the second, which has a firewall: got %v, want ECONNREFUSED", family, err)
		}
	}
	if err := two.Close(); err != nil {
		t.Fatal(err)
	}
	if err := reach(withTimeout(t), one.Client, netip.AddrPortFrom(one.Server.Addr4(), 80)); err != nil {
		t.Errorf("the first after the second was closed: %v", err)
	}
}

func TestManyNetsInParallel(t *testing.T) {
	t.Parallel()
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			n := newNet(t)
			serve(t, n.Server, 80)
			if err := reach(withTimeout(t), n.Client, netip.AddrPortFrom(n.Server.Addr6(), 80)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	n := newNet(t)
	serve(t, n.Server, 80)
	for _, test := range []struct {
		name string
		host *lab.Host
		link string
		want error // of a connection from the client; nil for silence
	}{
		{"own", n.Client, "eth0", syscall.ENETUNREACH},
		{"cable of the client", n.Router, "toclient", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := test.host.LinkDown(test.link); err != nil {
				t.Fatal(err)
			}
			for family, addr := range families(n.Server) {
				to := netip.AddrPortFrom(addr, 80)
				ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
				err := reach(ctx, n.Client, to)
				cancel()
				if test.want != nil && !errors.Is(err, test.want) {
					t.Errorf("%s: got %v, want %v", family, err, test.want)
				}
				if test.want == nil && err == nil {
					t.Errorf("%s: connected over a link that is down", family)
				}
			}
			if err := test.host.LinkUp(test.link); err != nil {
				t.Fatal(err)
			}
			for family, addr := range families(n.Server) {
				if err := reach(withTimeout(t), n.Client, netip.AddrPortFrom(addr, 80)); err != nil {
					t.Errorf("%s, up again: %v", family, err)
				}
			}
		})
	}
	if err := n.Client.LinkUp("eth7"); err == nil || !strings.Contains(err.Error(), "eth7") {
		t.Errorf("LinkUp of an interface that is not there: got %v", err)
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	n := newNet(t)

	out, err := n.Router.Run(exec.Command("cat", "/proc/net/dev"))
	if err != nil || !strings.Contains(out, "toserver") {
		t.Errorf("interfaces seen by a command on the router: %v\n%s", err, out)
	}
	if _, err := n.Router.Run(exec.Command("sh", "-c", "echo oh no >&2; exit 3")); err == nil ||
		!strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "oh no") {
		t.Errorf("a command that failed: got %v, want its status and complaint", err)
	}
	if _, err := n.Router.Run(exec.Command("/nonexistent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a command that is not there: got %v, want os.ErrNotExist", err)
	}

	sleeper := exec.Command("sleep", "1000")
	if err := n.Server.Start(sleeper); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	sleeper.Wait()
	if ws, ok := sleeper.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGKILL {
		t.Errorf("a command in a lab that is closed: got %v, want it killed", sleeper.ProcessState)
	}
	if err := n.Server.Start(exec.Command("true")); err == nil {
		t.Error("a command was started in a lab that is closed")
	}
	if err := n.Server.Do(func() error { return nil }); err == nil {
		t.Error("a function was run in a lab that is closed")
	}
	if err := n.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}

func TestSysctl(t *testing.T) {
	t.Parallel()
	n := newNet(t)
	const key = "net.ipv4.tcp_syn_retries"
	if err := n.Client.Sysctl(key, "2"); err != nil {
		t.Fatal(err)
	}
	for _, h := range []*lab.Host{n.Client, n.Server} {
		out, err := h.Run(exec.Command("cat", "/proc/sys/net/ipv4/tcp_syn_retries"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(out); (got == "2") != (h == n.Client) {
			t.Errorf("%s of %v: got %s", key, h, got)
		}
	}
	if err := n.Client.Sysctl("net.ipv4.tcp_wishes", "1"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a parameter that is not there: got %v, want os.ErrNotExist", err)
	}
}

func TestDoReportsAnEndedGoroutine(t *testing.T) {
	t.Parallel()
	n := newNet(t)
	want := errors.New("mine")
	if err := n.Client.Do(func() error { return want }); !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	// A host inside a host.
	err := n.Client.Do(func() error {
		return n.Server.Do(func() error {
			_, err := os.Stat("/proc/thread-self/net/dev")
			return err
		})
	})
	if err != nil {
		t.Error(err)
	}
}

func BenchmarkNew(b *testing.B) {
	if err := lab.Available(); err != nil {
		b.Skip("needs network namespaces: ", err)
	}
	for b.Loop() {
		n, err := lab.New(lab.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := n.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
