package lab_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"whyreset/integration/lab"
)

// rule is a script of one chain with one rule.
func rule(hook, rule string) string {
	return "table inet lab { chain c { type filter hook " + hook + " priority 0; " + rule + "; }; }"
}

func TestFirewalls(t *testing.T) {
	t.Parallel()
	n := newNet(t, lab.NFT)
	serve(t, n.Server, 80)
	for _, test := range []struct {
		name, hook, rule string
		on               *lab.Host
		want             error // nil for silence
	}{
		{"reset by the router", "forward", "tcp dport 80 reject with tcp reset", n.Router, syscall.ECONNREFUSED},
		{"reset by the server's host", "input", "tcp dport 80 reject with tcp reset", n.Server, syscall.ECONNREFUSED},
		{"admin-prohibited by the router", "forward", "tcp dport 80 reject with icmpx admin-prohibited", n.Router, syscall.EHOSTUNREACH},
		{"drop by the router", "forward", "tcp dport 80 drop", n.Router, nil},
	} {
		for family, addr := range families(n.Server) {
			t.Run(test.name+" "+family, func(t *testing.T) {
				if err := test.on.NFT(rule(test.hook, test.rule)); err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := test.on.FlushNFT(); err != nil {
						t.Error(err)
					}
					if err := reach(withTimeout(t), n.Client, netip.AddrPortFrom(addr, 80)); err != nil {
						t.Errorf("without the rule: %v", err)
					}
				}()
				ctx := withTimeout(t)
				if test.want == nil {
					var cancel func()
					ctx, cancel = context.WithTimeout(ctx, 200*time.Millisecond)
					defer cancel()
				}
				err := reach(ctx, n.Client, netip.AddrPortFrom(addr, 80))
				want := test.want
				if want == syscall.EHOSTUNREACH && addr.Is6() {
					want = syscall.EACCES // icmpv6_err_convert makes this of code 1 (RFC 4443 §3.1)
				}
				var timeout net.Error
				switch {
				case want != nil && !errors.Is(err, want):
					t.Errorf("got %v, want %v", err, want)
				case want == nil && !(errors.As(err, &timeout) && timeout.Timeout()):
					t.Errorf("got %v, want a timeout", err)
				}
			})
		}
	}
}

// Loss needs no netem: a rule that drops each fifth packet will do.
func TestLossyPathDeliversAll(t *testing.T) {
	t.Parallel()
	n := newNet(t, lab.NFT)
	if err := n.Router.NFT(rule("forward", "tcp flags & (syn|fin|rst) == 0 numgen inc mod 5 0 counter drop")); err != nil {
		t.Fatal(err)
	}
	const size = 200_000
	ln, err := n.Server.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	peer := lab.Serve(ln, lab.Script{Expects: 3, Steps: []lab.Step{lab.ReadAll()}})
	defer peer.Stop()
	ctx := withTimeout(t)
	conn, err := n.Client.Dial(ctx, "tcp", netip.AddrPortFrom(n.Server.Addr4(), 80))
	if err != nil {
		t.Fatal(err)
	}
	if out := lab.Run(ctx, conn, lab.Script{Sends: 3, Steps: []lab.Step{lab.Write(size), lab.CloseWrite(), lab.ReadAll()}}); out.End != lab.EndEOF {
		t.Errorf("client: %v", out)
	}
	if out, err := peer.Next(ctx); err != nil || out.Read != size || out.Damage != nil || out.End != lab.EndEOF {
		t.Errorf("server: got %v, %v, want %d bytes", out, err, size)
	}
	if rules, err := n.Router.Rules(); err != nil || strings.Contains(rules, "packets 0 ") {
		t.Errorf("nothing was dropped: %v\n%s", err, rules)
	}
}

// ICMP errors have a rate limit in every kernel that is not told otherwise; a lab must answer each time alike.
func TestRefusalsAreNotRateLimited(t *testing.T) {
	t.Parallel()
	n := newNet(t, lab.NFT)
	if err := n.Router.NFT(rule("forward", "tcp dport 80 reject with icmp host-unreachable")); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		_, err := n.Client.Dial(withTimeout(t), "tcp", netip.AddrPortFrom(n.Server.Addr4(), 80))
		if !errors.Is(err, syscall.EHOSTUNREACH) {
			t.Fatalf("connection %d: got %v, want EHOSTUNREACH", i, err)
		}
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	n := newNet(t, lab.NFT)
	if err := n.Router.NFT("table inet lab { chain c { gibberish; }; }"); err == nil || !strings.Contains(err.Error(), "gibberish") {
		t.Errorf("a script that is wrong: got %v, want what nft says of it", err)
	}
	if err := n.Router.NFT(rule("forward", "tcp dport 80 counter drop")); err != nil {
		t.Fatal(err)
	}
	if rules, err := n.Router.Rules(); err != nil || !strings.Contains(rules, "tcp dport 80 counter packets 0") {
		t.Errorf("rules of the router: %v\n%s", err, rules)
	}
	if rules, err := n.Client.Rules(); err != nil || rules != "" {
		t.Errorf("rules of the client: %v, want none\n%s", err, rules)
	}
}

func TestKillSockets(t *testing.T) {
	t.Parallel()
	n := newNet(t, lab.SS)
	for family, addr := range families(n.Server) {
		t.Run(family, func(t *testing.T) {
			to := netip.AddrPortFrom(addr, 80)
			ln, err := n.Server.Listen("tcp", to.String())
			if err != nil {
				t.Fatal(err)
			}
			peer := lab.Serve(ln, lab.Script{Steps: []lab.Step{lab.Write(5), lab.ReadAll()}})
			defer peer.Stop()
			ctx := withTimeout(t)
			conn, err := n.Client.Dial(ctx, "tcp", to)
			if err != nil {
				t.Fatal(err)
			}
			ready := make(chan struct{})
			killed := make(chan error, 1)
			go func() {
				<-ready
				count, err := n.Client.KillSockets("dport", "=", ":80")
				if err == nil && count != 1 {
					err = errors.New("not one socket was destroyed")
				}
				killed <- err
			}()
			out := lab.Run(ctx, conn, lab.Script{Steps: []lab.Step{
				lab.Read(5),
				lab.Call("tell", func(net.Conn) error { close(ready); return nil }),
				lab.ReadAll(),
			}})
			if err := <-killed; err != nil {
				t.Fatal(err)
			}
			if out.End != lab.EndFailed || !errors.Is(out.ReadErr, syscall.ECONNABORTED) {
				t.Errorf("owner of the socket: got %v, want ECONNABORTED", out)
			}
			if out, err := peer.Next(ctx); err != nil || out.End != lab.EndReset {
				t.Errorf("its peer: got %v, %v, want a reset", out, err)
			}
		})
	}
	if _, err := n.Client.KillSockets("dport", "=", ":81"); err == nil {
		t.Error("KillSockets found something where nothing is")
	}
}
