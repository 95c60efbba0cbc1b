package rules_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"whyreset/integration/lab"
	"whyreset/proxy/rules"
)

// A plan with everything in it that a rule can say.
func rich(p rules.Placement) rules.Settings {
	prefixes := func(texts ...string) (all []netip.Prefix) {
		for _, text := range texts {
			all = append(all, netip.MustParsePrefix(text))
		}
		return all
	}
	user := uint32(1234)
	s := rules.Settings{Placement: p, Mark: 0x99, User: &user, Table: "why-reset.1", RouteMark: 0x98, RouteTable: 7001}
	s.Captures = []rules.Capture{
		{Name: "1.db", Mode: rules.TProxy, Source: rules.SourceClientIP, Port: 15001,
			Ports:      []rules.PortRange{{5432, 5432}, {8000, 8999}, {5433, 5433}, {8100, 8200}, {65535, 65535}},
			Interfaces: []string{"eth0", "to*"},
			Deny:       prefixes("10.0.0.0/8", "10.1.0.0/16", "192.0.2.1/32", "2001:db8::/32", "ffff::/16", "240.0.0.0/4")},
		{Name: "cache_2", Mode: rules.Redirect, Source: rules.SourceOwn, Port: 15002,
			Ports: []rules.PortRange{{6379, 6379}}, Allow: prefixes("10.77.0.0/16", "fd77::/16"), LinkLocal: true},
		{Name: "only-v4", Mode: rules.Redirect, Source: rules.SourceOwn, Port: 15003,
			Ports: []rules.PortRange{{9000, 9000}}, Allow: prefixes("10.77.0.0/16")},
	}
	return s
}

// The two forms of a plan put the same.
func TestScriptDoesWhatApplyDoes(t *testing.T) {
	t.Parallel()
	var all []rules.Settings
	for _, p := range places {
		for _, triple := range rules.Triples {
			if triple.Placement == p.placement && triple.Reason == "" {
				all = append(all, settings(p, triple.Mode, triple.Source))
			}
		}
	}
	for _, p := range []rules.Placement{rules.Router, rules.Server, rules.Client, rules.Pod} {
		one := rich(p)
		all = append(all, one)
		one.IPv6, one.Captures = true, one.Captures[:2]
		all = append(all, one)
	}
	one := rich(rules.Router)
	one.IPv4, one.SetSysctls, one.User, one.Captures[1].Own = true, true, nil, true
	one.Captures = one.Captures[:2]
	all = append(all, one)

	n := newNet(t)
	h := n.Router
	before := look(t, h)
	for _, s := range all {
		plan, file := apply(t, h, s)
		applied := look(t, h)
		if err := h.Do(func() error { return rules.Remove(t.Context(), file) }); err != nil {
			t.Fatal(err)
		}
		wantSame(t, "after Remove", before, look(t, h))

		script := exec.Command("/bin/sh", "-e")
		script.Stdin = strings.NewReader("PATH=$PATH:/usr/sbin:/sbin\n" + plan.Script())
		if _, err := h.Run(script); err != nil {
			t.Fatalf("%v\n%s", err, plan.Script())
		}
		if got := look(t, h); got != applied {
			t.Errorf("by script:\n%s\nby Apply:\n%s\nscript:\n%s", got, applied, plan.Script())
		}
		// The commands at its end take it away.
		_, undo, _ := strings.Cut(plan.Script(), "# to take it away:\n")
		script = exec.Command("/bin/sh", "-e")
		script.Stdin = strings.NewReader("PATH=$PATH:/usr/sbin:/sbin\n" + strings.ReplaceAll(undo, "#  ", ""))
		if _, err := h.Run(script); err != nil {
			t.Fatalf("%v\n%s", err, undo)
		}
		wantSame(t, "after the script's own undoing", before, look(t, h))
	}
}

// However far Apply came, Remove leaves nothing of it.
func TestCrashAtEachStep(t *testing.T) {
	t.Parallel()
	for _, p := range []rules.Placement{rules.Router, rules.Pod} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			n := newNet(t)
			h := n.Router
			// Values that must be put back, one of them changed by the kernel along with another.
			for _, kv := range [][2]string{{"net.ipv4.ip_forward", "0"}, {"net.ipv4.conf.toclient.forwarding", "1"},
				{"net.ipv4.conf.all.accept_redirects", "0"}, {"net.ipv6.conf.all.forwarding", "0"}, {"net.ipv6.conf.toserver.forwarding", "1"}} {
				if err := h.Sysctl(kv[0], kv[1]); err != nil {
					t.Fatal(err)
				}
			}
			if err := h.NFT("table inet other { chain c { type filter hook input priority 0; tcp dport 1 accept; }; }"); err != nil {
				t.Fatal(err)
			}
			s := rich(p)
			s.SetSysctls = true
			plan, err := rules.New(s)
			if err != nil {
				t.Fatal(err)
			}
			before := look(t, h)
			file := filepath.Join(t.TempDir(), "run", "rules.json")
			for crash, steps := 1, 2; crash <= steps; crash++ {
				var last string
				err := h.Do(func() error {
					all, err := plan.Steps(file)
					steps = len(all)
					for i := 0; i < crash && err == nil; i++ {
						err, last = all[i].Do(), all[i].What
					}
					return err
				})
				if err != nil {
					t.Fatalf("step %q: %v", last, err)
				}
				if crash == steps {
					status(t, h, file, true)
				} else {
					status(t, h, file, false)
				}
				if err := h.Do(func() error { return rules.Remove(t.Context(), file) }); err != nil {
					t.Fatalf("Remove after %q: %v", last, err)
				}
				wantSame(t, fmt.Sprintf("crash after %q, then Remove", last), before, look(t, h))
				if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("the state file after Remove: got %v, want it gone", err)
				}
			}
		})
	}
}

func status(t *testing.T, h *lab.Host, file string, complete bool) {
	t.Helper()
	err := h.Do(func() error {
		st, err := rules.Status(file)
		if err == nil && (!st.Known || st.Complete() != complete) {
			t.Errorf("status: got %+v, want complete: %v", st, complete)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A start after a crash goes on from what is there, and Remove still finds everything.
func TestApplyAgain(t *testing.T) {
	t.Parallel()
	n := newNet(t)
	h := n.Router
	if err := h.Sysctl("net.ipv4.ip_forward", "0"); err != nil {
		t.Fatal(err)
	}
	before := look(t, h)
	file := filepath.Join(t.TempDir(), "rules.json")
	s := rich(rules.Router)
	s.SetSysctls = true
	other := s
	other.Table, other.RouteMark, other.RouteTable = "another", 0x97, 7002
	less := settings(places[0], rules.Redirect, rules.SourceOwn)
	var first string
	for i, s := range []rules.Settings{s, s, other, less, s} {
		plan, err := rules.New(s)
		if err != nil {
			t.Fatal(err)
		}
		crash := 0
		if i == 1 { // the second start gets half-way only
			crash = 3
		}
		err = h.Do(func() error {
			if crash == 0 {
				return plan.Apply(t.Context(), file)
			}
			all, err := plan.Steps(file)
			for _, step := range all[:crash] {
				err = errors.Join(err, step.Do())
			}
			return err
		})
		if err != nil {
			t.Fatalf("start %d: %v", i, err)
		}
		status(t, h, file, true) // also half-way: it is what the first one had put
		switch got := look(t, h); {
		case i == 0:
			first = got
		case i == 1 || i == 4:
			wantSame(t, fmt.Sprintf("start %d", i), first, got)
		}
	}
	if err := h.Do(func() error { return rules.Remove(t.Context(), file) }); err != nil {
		t.Fatal(err)
	}
	wantSame(t, "after Remove", before, look(t, h))
}

// Where Apply fails, nothing stays of it; and nothing that is not ours is touched.
func TestApplyFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, prepare string
		want          string
	}{
		{"table of others", "nft add table inet why-reset.1", "no state file that says it is ours"},
		{"routing table of others", "ip route add 10.99.0.0/16 via 10.77.1.2 table 7001", "routing table 7001 is in use"},
		{"IPv6 routing table of others", "ip -6 route add fd99::/16 via fd77:1::2 table 7001", "routing table 7001 is in use"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newNet(t).Router
			if _, err := h.Run(exec.Command("/bin/sh", "-c", "PATH=$PATH:/usr/sbin:/sbin\n"+test.prepare)); err != nil {
				t.Fatal(err)
			}
			before := look(t, h)
			plan, err := rules.New(rich(rules.Router))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "rules.json")
			err = h.Do(func() error { return plan.Apply(t.Context(), file) })
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
			wantSame(t, "after a failure", before, look(t, h))
			if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the state file: got %v, want none", err)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		h := newNet(t).Router
		before := look(t, h)
		plan, err := rules.New(rich(rules.Router))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.Do(func() error { return plan.Apply(ctx, filepath.Join(t.TempDir(), "rules.json")) }); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		wantSame(t, "after a cancelled Apply", before, look(t, h))
	})
}

// A state file of an earlier boot, or of elsewhere, does no harm.
func TestStateOfAnotherTimeOrPlace(t *testing.T) {
	t.Parallel()
	n := newNet(t)
	s := settings(places[0], rules.TProxy, rules.SourceOwn)
	_, file := apply(t, n.Router, s)
	err := n.Client.Do(func() error { return rules.Remove(t.Context(), file) })
	if err == nil || !strings.Contains(err.Error(), "network namespace") {
		t.Errorf("Remove in another network namespace: got %v", err)
	}
	status(t, n.Router, file, true)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), strings.TrimSpace(string(boot)), "earlier", 1))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	with := look(t, n.Router)
	err = n.Router.Do(func() error {
		st, err := rules.Status(file)
		if !st.Known || st.Past == "" || st.Complete() {
			t.Errorf("status of an earlier boot's rules: got %+v", st)
		}
		return errors.Join(err, rules.Remove(t.Context(), file))
	})
	if err != nil {
		t.Error(err)
	}
	wantSame(t, "Remove by the state of an earlier boot", with, look(t, n.Router))
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state file of an earlier boot: got %v, want it gone", err)
	}
	if err := rules.Remove(t.Context(), file); err != nil {
		t.Errorf("Remove without a state file: got %v", err)
	}
}
