package rules_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"whyreset/integration/lab"
	"whyreset/proxy/rules"
)

// Errors about what the proxy sent in the client's name come to the proxy, from wherever they are sent.
func TestICMPErrorsReachTheProxy(t *testing.T) {
	t.Parallel()
	atServer := "table inet lab { chain i { type filter hook input priority 0; %s tcp dport 90 reject with icmpx type admin-prohibited; }; }"
	atRouter := "table inet lab { chain o { type filter hook output priority 0; tcp dport 90 reject with icmpx type admin-prohibited; }; }"
	for _, test := range []struct {
		place         place
		mode          rules.Mode
		source        rules.Source
		rejects       func(*lab.Net) *lab.Host
		rule          string
		port          uint16
		errno4        syscall.Errno // EACCES with IPv6
		offenderIsOwn bool
	}{
		{places[0], rules.TProxy, rules.SourceClient, func(n *lab.Net) *lab.Host { return n.Server }, fmt.Sprintf(atServer, ""), 90, syscall.EHOSTUNREACH, false},
		{places[0], rules.TProxy, rules.SourceClientIP, func(n *lab.Net) *lab.Host { return n.Server }, fmt.Sprintf(atServer, ""), 90, syscall.EHOSTUNREACH, false},
		{places[0], rules.Redirect, rules.SourceClientIP, func(n *lab.Net) *lab.Host { return n.Server }, fmt.Sprintf(atServer, ""), 90, syscall.EHOSTUNREACH, false},
		{places[1], rules.TProxy, rules.SourceClientIP, func(n *lab.Net) *lab.Host { return n.Server }, fmt.Sprintf(atServer, `iifname "lo"`), 90, syscall.EHOSTUNREACH, false},
		{places[3], rules.Redirect, rules.SourceClientIP, func(n *lab.Net) *lab.Host { return n.Server }, fmt.Sprintf(atServer, `iifname "lo"`), 90, syscall.EHOSTUNREACH, false},
		{places[2], rules.TProxy, rules.SourceClientIP, func(n *lab.Net) *lab.Host { return n.Server }, fmt.Sprintf(atServer, ""), 90, syscall.EHOSTUNREACH, false},
		{places[0], rules.TProxy, rules.SourceClient, func(n *lab.Net) *lab.Host { return n.Router }, atRouter, 90, syscall.EHOSTUNREACH, true},
	} {
		by := "server"
		if test.offenderIsOwn {
			by = "router"
		}
		t.Run(fmt.Sprintf("%s %s %s, rejected by the %s", test.place.name, test.mode, test.source, by), func(t *testing.T) {
			t.Parallel()
			n := newNet(t)
			h := test.place.host(n)
			s := settings(test.place, test.mode, test.source)
			if err := test.rejects(n).NFT(test.rule); err != nil {
				t.Fatal(err)
			}
			apply(t, h, s)
			proxy := startProxy(t, h, s, s.Captures[0], nil)
			for _, version := range []int{4, 6} {
				to := netip.AddrPortFrom(addr(n.Server, version), 90)
				began := time.Now()
				if k, err := dial(n.Client, to); err == nil {
					t.Fatalf("IPv%d: %v reached %v, which a rule forbids", version, k.saw, k.at)
				}
				want := test.errno4
				if version == 6 {
					want = syscall.EACCES
				}
				got := proxy.next(t)
				if got.Errno != want || got.To != to {
					t.Errorf("IPv%d: got %v (after %v), want %v for %v", version, got, time.Since(began), want, to)
				}
				if !test.offenderIsOwn && got.Offender != addr(n.Server, version) {
					t.Errorf("IPv%d: the error was sent by %v, want %v", version, got.Offender, addr(n.Server, version))
				}
			}
		})
	}
}

// Nobody answers for an address on the server's net: the router itself says so, to the client it takes for the sender.
func TestRouterIsTheLastHop(t *testing.T) {
	t.Parallel()
	for _, source := range []rules.Source{rules.SourceClient, rules.SourceClientIP} {
		t.Run(string(source), func(t *testing.T) {
			t.Parallel()
			n := newNet(t)
			s := settings(places[0], rules.TProxy, source)
			apply(t, n.Router, s)
			proxy := startProxy(t, n.Router, s, s.Captures[0], nil)
			var dials sync.WaitGroup
			for _, to := range []string{"10.77.2.99:80", "[fd77:2::99]:80"} { // it takes three seconds, and both at once no more
				dials.Go(func() {
					if _, err := dial(n.Client, netip.MustParseAddrPort(to)); err == nil {
						t.Errorf("%s answered", to)
					}
				})
			}
			for range 2 {
				if got := proxy.next(t); got.Errno != syscall.EHOSTUNREACH {
					t.Errorf("got %+v, want EHOSTUNREACH", got)
				}
			}
			dials.Wait()
		})
	}
}

// What is established goes on, directly or through the proxy, while rules and proxies come and go.
func TestEstablishedGoesOn(t *testing.T) {
	t.Parallel()
	for _, p := range places[:3] {
		for _, mode := range []rules.Mode{rules.TProxy, rules.Redirect} {
			t.Run(fmt.Sprintf("%s %s", p.name, mode), func(t *testing.T) {
				t.Parallel()
				n := newNet(t)
				h := p.host(n)
				tell(t, n.Server, 80)
				s := settings(p, mode, rules.SourceOwn)
				var direct, through []*talk
				alive := func(when string) {
					t.Helper()
					for _, k := range append(direct[:len(direct):len(direct)], through...) {
						if err := k.echo(); err != nil {
							t.Fatalf("%s, a connection with peer %v: %v", when, k.saw, err)
						}
					}
				}
				open := func(list *[]*talk, when string) {
					t.Helper()
					for _, version := range []int{4, 6} {
						k, err := dial(n.Client, netip.AddrPortFrom(addr(n.Server, version), 80))
						if err != nil {
							t.Fatalf("%s: %v", when, err)
						}
						t.Cleanup(func() { k.Close() })
						if straight := k.saw == k.local(); straight != (list == &direct) {
							t.Fatalf("%s: the server saw %v, and the client is %v", when, k.saw, k.local())
						}
						*list = append(*list, k)
					}
				}

				open(&direct, "before")
				plan, file := apply(t, h, s)
				proxy := startProxy(t, h, s, s.Captures[0], nil)
				alive("rules applied")
				open(&through, "rules applied")
				if err := h.Do(func() error { return plan.Apply(t.Context(), file) }); err != nil {
					t.Fatal(err)
				}
				alive("rules applied again")
				open(&through, "rules applied again")
				if err := h.Do(func() error { return rules.Release(t.Context(), file) }); err != nil {
					t.Fatal(err)
				}
				alive("rules released")
				open(&direct, "rules released")
				alive("rules released")
				if err := h.Do(func() error { return plan.Apply(t.Context(), file) }); err != nil {
					t.Fatal(err)
				}
				alive("taking again")

				proxy.kill()
				through = nil
				if plan.WhenDead()[0].Open {
					open(&direct, "proxy dead")
				}
				startProxy(t, h, s, s.Captures[0], nil)
				alive("proxy there again")
				open(&through, "proxy there again")
				for _, k := range through {
					k.Close()
				}
				through = nil
				if err := h.Do(func() error { return rules.Remove(t.Context(), file) }); err != nil {
					t.Fatal(err)
				}
				alive("rules removed")
			})
		}
	}
}

// With source client two connections may leave with one address and port, if they go to different places.
func TestOnePortToTwoServers(t *testing.T) {
	t.Parallel()
	n := newNet(t)
	tell(t, n.Server, 80)
	tell(t, n.Server, 81)
	s := settings(places[0], rules.TProxy, rules.SourceClient)
	apply(t, n.Router, s)
	startProxy(t, n.Router, s, s.Captures[0], nil)
	for _, version := range []int{4, 6} {
		from := netip.AddrPortFrom(addr(n.Client, version), 40000)
		for _, port := range []uint16{80, 81} {
			k, err := dialFrom(n.Client, from, netip.AddrPortFrom(addr(n.Server, version), port))
			if err != nil {
				t.Fatalf("port %d: %v", port, err)
			}
			defer k.Close()
			if k.saw != from {
				t.Errorf("port %d: the server saw %v, want %v", port, k.saw, from)
			}
			if err := k.echo(); err != nil {
				t.Errorf("port %d: %v", port, err)
			}
		}
	}
}

// A user of its own is exemption enough, and redirect with it takes no right at all.
func TestExemptUser(t *testing.T) {
	t.Parallel()
	newNet(t) // or the skip says why there is none
	text, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(strings.TrimSpace(string(text)), "\n") == 0 && strings.HasSuffix(strings.TrimSpace(string(text)), " 1") {
		t.Skip("needs a second user ID in the lab, which only root can give")
	}
	user := uint32(65534)
	for _, test := range []struct {
		place  place
		source rules.Source
	}{{places[2], rules.SourceOwn}, {places[2], rules.SourceClientIP}, {places[4], rules.SourceOwn}} {
		t.Run(fmt.Sprintf("%s %s", test.place.name, test.source), func(t *testing.T) {
			n := newNet(t)
			tell(t, n.Server, 80)
			h := test.place.host(n)
			s := settings(test.place, rules.Redirect, test.source)
			s.Mark, s.User = 0, &user
			plan, _ := apply(t, h, s)
			if got := plan.Capabilities(); len(got) > 0 && test.source == rules.SourceOwn {
				t.Errorf("capabilities: got %q, want none", got)
			}
			proxy := startProxy(t, h, s, s.Captures[0], &syscall.Credential{Uid: user, Gid: user})
			for _, version := range []int{4, 6} {
				k, err := dial(n.Client, netip.AddrPortFrom(addr(n.Server, version), 80))
				if err != nil {
					t.Fatalf("IPv%d: %v; the proxy says %+v", version, err, proxy.next(t))
				}
				defer k.Close()
				if got := proxy.next(t); got.To != k.at || got.Client != k.local() {
					t.Errorf("IPv%d: got %+v", version, got)
				}
			}
		})
	}
}

// A connection straight to the listener has nowhere to go on to, and dialling its own address would never end.
func TestStraightToTheListener(t *testing.T) {
	t.Parallel()
	for _, mode := range []rules.Mode{rules.TProxy, rules.Redirect} {
		for _, ruled := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, rules there: %v", mode, ruled), func(t *testing.T) {
				t.Parallel()
				n := newNet(t)
				s := settings(places[1], mode, rules.SourceOwn)
				if ruled {
					apply(t, n.Server, s)
				}
				proxy := startProxy(t, n.Server, s, s.Captures[0], nil)
				for _, version := range []int{4, 6} {
					if _, err := dial(n.Client, netip.AddrPortFrom(addr(n.Server, version), 15001)); err == nil {
						t.Errorf("IPv%d: it was carried on", version)
					}
					if got := proxy.next(t); !strings.Contains(got.Refused, "not redirected") {
						t.Errorf("IPv%d: got %+v, want it refused as not redirected", version, got)
					}
				}
			})
		}
	}
}

// What the lists of a capture say goes direct, goes direct.
func TestDestinations(t *testing.T) {
	t.Parallel()
	one := func(text string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(text)} }
	for _, test := range []struct {
		name   string
		change func(*rules.Settings)
		taken4 bool
		taken6 bool
	}{
		{"IPv4 alone", func(s *rules.Settings) { s.IPv4 = true }, true, false},
		{"IPv6 alone", func(s *rules.Settings) { s.IPv6 = true }, false, true},
		{"allowed", func(s *rules.Settings) { s.Captures[0].Allow = one("10.77.2.0/24") }, true, false},
		{"not allowed", func(s *rules.Settings) { s.Captures[0].Allow = one("10.77.3.0/24") }, false, false},
		{"denied", func(s *rules.Settings) { s.Captures[0].Deny = one("fd77:2::2/128") }, true, false},
		{"other interface", func(s *rules.Settings) { s.Captures[0].Interfaces = []string{"eth1", "to*"} }, false, false},
		{"interface", func(s *rules.Settings) { s.Captures[0].Interfaces = []string{"eth1", "e*"} }, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := newNet(t)
			tell(t, n.Server, 80)
			s := settings(places[2], rules.Redirect, rules.SourceOwn)
			test.change(&s)
			apply(t, n.Client, s)
			startProxy(t, n.Client, s, s.Captures[0], nil)
			for version, taken := range map[int]bool{4: test.taken4, 6: test.taken6} {
				k, err := dial(n.Client, netip.AddrPortFrom(addr(n.Server, version), 80))
				if err != nil {
					t.Fatal(err)
				}
				k.Close()
				if got := k.saw != k.local(); got != taken {
					t.Errorf("IPv%d: went through the proxy: %v, want %v", version, got, taken)
				}
			}
		})
	}
}

func dialFrom(h *lab.Host, from, to netip.AddrPort) (k *talk, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return dialContext(ctx, h, from, to)
}
