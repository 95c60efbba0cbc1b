package integration

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"whyreset/integration/lab"
)

// gateway has rules of every kind.
const gateway = `
rules: {placement: router, sysctls: set}
listeners:
  - {name: web, mode: tproxy, address: ":15001", source: client, ports: 80}
  - {name: other, mode: redirect, address: ":15002", ports: 90-99}
`

func newGateway(t *testing.T) *ruled {
	t.Helper()
	r := newRuled(t, onRouter, gateway)
	for _, key := range []string{"net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"} {
		if err := r.Router.Sysctl(key, "0"); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *ruled) shell(commands string) {
	r.t.Helper()
	if _, err := r.host.Run(exec.Command("/bin/sh", "-ec", "PATH=$PATH:/usr/sbin:/sbin\n"+commands)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *ruled) wantSays(words string, code int, args ...string) {
	r.t.Helper()
	said, got := r.try(args...)
	if got != code || !strings.Contains(strings.Join(strings.Fields(said), " "), words) {
		r.t.Errorf("whyreset %s: exit code %d: %s\nwant exit code %d and %q", strings.Join(args, " "), got, said, code, words)
	}
}

// What apply puts remove takes, whatever part of it there is: all that a crash half-way can leave, made by hand.
func TestRulesRemoveAfterEachStep(t *testing.T) {
	t.Parallel()
	r := newGateway(t)
	before := r.stands()
	r.wantSays("there are no packet rules of whyreset here", 0, "rules", "remove")
	undo := []string{
		"true",
		"nft delete table inet whyreset",
		"ip -6 rule del pref 5752",
		"ip -6 route del local default dev lo table 5752",
		"ip -4 rule del pref 5752",
		"ip -4 route del local default dev lo table 5752",
		"echo 0 > /proc/sys/net/ipv6/conf/all/forwarding",
		"echo 0 > /proc/sys/net/ipv4/ip_forward",
	}
	for n := range undo {
		r.must("rules", "apply")
		if r.stands() == before {
			t.Fatal("apply has put nothing")
		}
		r.shell(strings.Join(undo[:n+1], "\n"))
		if n > 0 {
			r.wantSays("NOT SO", 1, "rules", "status")
		} else {
			r.wantSays("all is as planned", 0, "rules", "status")
		}
		r.must("rules", "remove")
		r.wantStands(fmt.Sprintf("removed after %q", undo[n]), before)
	}
}

// The command itself is killed, earlier and later in its work.
func TestRulesApplyKilled(t *testing.T) {
	t.Parallel()
	r := newGateway(t)
	before := r.stands()
	began := time.Now()
	r.must("rules", "apply")
	whole := time.Since(began)
	r.must("rules", "remove")
	const times = 25
	cut := 0
	for i := range times {
		cmd := r.command("rules", "apply")
		if err := r.host.Start(cmd); err != nil {
			t.Fatal(err)
		}
		time.Sleep(whole * time.Duration(i) / times) // chance decides where it is then; every place must do
		cmd.Process.Kill()
		cmd.Wait()
		if s := r.stands(); s != before {
			cut++
		}
		r.must("rules", "remove")
		r.wantStands(fmt.Sprintf("removed after apply was killed, try %d", i), before)
	}
	t.Logf("%d of %d kills left something to remove", cut, times)
}

// Without a state file the marks tell what is ours, and nothing else is touched.
func TestRulesSweptByTheirMarks(t *testing.T) {
	t.Parallel()
	r := newGateway(t)
	r.shell("nft add table inet other; nft add table ip whyreset; ip rule add pref 5751 fwmark 0x51 lookup 5751; ip route add local default dev lo table 5751")
	for _, key := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} { // what they were is not known without the file
		r.shell("echo 1 > /proc/sys/net/" + key)
	}
	before := r.stands()
	forget := func() {
		t.Helper()
		if err := os.RemoveAll(r.args[len(r.args)-1]); err != nil {
			t.Fatal(err)
		}
	}
	r.must("rules", "apply")
	forget()
	r.wantSays("there is, by its marks: table inet whyreset, IPv4 rule to table 5752", 1, "rules", "status")
	r.wantSays("by their marks these were removed: table inet whyreset", 0, "rules", "remove")
	r.wantStands("swept by remove", before)

	// A later start sweeps too.
	r.must("rules", "apply")
	with := r.stands()
	forget()
	r.must("rules", "apply")
	r.wantStands("applied over what was left", with)
	r.wantSays("all is as planned", 0, "rules", "status")
	r.must("rules", "remove")
	r.wantStands("removed", before)
}

// Status sees what somebody has changed, and that the configuration has.
func TestRulesStatusSeesDrift(t *testing.T) {
	t.Parallel()
	r := newGateway(t)
	r.wantSays("its rules are not in place", 1, "rules", "status")
	for _, test := range []struct{ change, words string }{
		{"nft insert rule inet whyreset in-web tcp dport 80 return", "NOT SO its chains, sets and rules"},
		{"nft flush chain inet whyreset prerouting", "NOT SO its chains, sets and rules"},
		{"nft add element inet whyreset ports-web { 81 }", "NOT SO its chains, sets and rules"},
		{"nft delete table inet whyreset", "NOT SO table inet whyreset"},
		{"ip -4 rule del pref 5752", "NOT SO IPv4 rule"},
		{"ip -6 route del local default dev lo table 5752", "NOT SO IPv6 route"},
		{"echo 0 > /proc/sys/net/ipv4/ip_forward", "net.ipv4.ip_forward is 0, and the rules need 1"},
	} {
		t.Run(test.change, func(t *testing.T) {
			r := &ruled{Net: r.Net, t: t, host: r.host, args: r.args}
			r.must("rules", "apply")
			r.wantSays("all is as planned", 0, "rules", "status")
			r.shell(test.change)
			r.wantSays(test.words, 1, "rules", "status")
			r.wantSays(`"as_planned":false`, 1, "rules", "status", "--format", "json")
		})
	}
	r.must("rules", "apply")
	r.wantSays("asks for other rules", 1, "rules", "status", "--rules.route_mark", "0x53")
	r.wantSays(`"as_planned":true`, 0, "rules", "status", "--format", "json")
}

// Two at once are one too many, and the second one says who is there.
func TestRulesAreKeptByOne(t *testing.T) {
	t.Parallel()
	r := newGateway(t)
	before := r.stands()
	k := r.run()
	with := r.stands()
	holder := fmt.Sprintf("process %d keeps the packet rules of this network namespace", k.cmd.Process.Pid)
	r.wantSays(holder, 1, "run", "--rules")
	r.wantSays(holder, 1, "rules", "apply")
	r.wantSays(holder, 1, "rules", "remove")
	r.wantSays(fmt.Sprintf("kept by process %d", k.cmd.Process.Pid), 0, "rules", "status")
	r.wantStands("after those who were refused", with)
	k.cmd.Process.Signal(syscall.SIGTERM)
	if code := k.wait(); code != 0 {
		t.Errorf("got exit code %d, want 0: %s", code, k.said())
	}
	r.wantStands("at the end", before)
}

// A proxy that cannot start leaves the host as it was: before its rules, and with those that a crash left.
func TestRulesOfAFailedStart(t *testing.T) {
	t.Parallel()
	r := newGateway(t)
	before := r.stands()
	ln, err := r.Router.Listen("tcp", ":15001")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	r.wantSays("another program listens there", 1, "run", "--rules")
	r.wantStands("after a start that failed", before)
	r.must("rules", "apply")
	r.wantSays("another program listens there", 1, "run", "--rules")
	r.wantStands("after a start that failed, with rules of an earlier one", before)

	// Where the rules cannot be applied, nothing is carried.
	ln.Close()
	r.shell("ip route add 10.99.0.0/16 via 10.77.1.2 table 5752")
	with := r.stands()
	r.wantSays("routing table 5752 is in use", 1, "run", "--rules")
	r.wantSays("routing table 5752 is in use", 1, "rules", "apply")
	r.shell("ip route del 10.99.0.0/16 table 5752; nft add table inet whyreset")
	r.wantSays("no state file that says it is ours", 1, "rules", "apply")
	r.wantSays("there are no packet rules of whyreset here", 0, "rules", "remove")
	r.shell("nft delete table inet whyreset")
	r.wantStands("in the end", before)
	if with == before {
		t.Error("the route of others was not there")
	}
}

// Remove lets connections end that it would cut, and takes what is left then.
func TestRulesRemoveWaits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, config string
		host         func(*lab.Net) *lab.Host
	}{
		{"router, tproxy", gateway, onRouter},
		{"client, redirect", "rules: {placement: client}\nlisteners:\n  - {mode: redirect, address: \":15001\", ports: 80}\n", onClient},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRuled(t, test.host, test.config)
			before := r.stands()
			proxy := r.command("run")
			proxy.Stderr = os.Stderr
			if err := r.host.Start(proxy); err != nil {
				t.Fatal(err)
			}
			defer func() {
				proxy.Process.Kill()
				proxy.Wait()
			}()
			for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
				if conn, err := r.host.Dial(context.Background(), "tcp", netip.MustParseAddrPort("127.0.0.1:15001")); err == nil {
					conn.Close()
					break
				} else if time.Now().After(deadline) {
					t.Fatal(err)
				}
			}
			server, err := r.Server.Listen("tcp", ":80")
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			open := func() (client, served interface{ Close() error }) {
				t.Helper()
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				client, err := r.Client.Dial(ctx, "tcp", netip.AddrPortFrom(r.Server.Addr4(), 80))
				if err != nil {
					t.Fatal(err)
				}
				served, err = server.Accept()
				if err != nil {
					t.Fatal(err)
				}
				return client, served
			}
			r.must("rules", "apply")
			client, served := open()
			removed := make(chan string, 1)
			go func() { removed <- r.must("rules", "remove", "--grace", patience.String()) }()
			for deadline := time.Now().Add(patience); ; {
				if said, _ := r.try("rules", "status"); strings.Contains(said, "released") {
					break
				} else if time.Now().After(deadline) {
					t.Fatalf("the rules are not released: %s", said)
				}
			}
			select {
			case said := <-removed:
				t.Errorf("remove did not wait: %s", said)
			default:
			}
			client.Close()
			served.Close()
			select {
			case said := <-removed:
				if said != "the packet rules are removed\n" {
					t.Errorf("got %q, want that they are removed and nothing was cut", said)
				}
			case <-time.After(patience):
				t.Fatal("remove waits though the connection has ended")
			}
			r.wantStands("after the connection's end", before)

			r.must("rules", "apply")
			client, served = open()
			defer client.Close()
			defer served.Close()
			r.wantSays("and with them the way of", 0, "rules", "remove", "--grace", "0s")
			r.wantStands("after a cut", before)
		})
	}
}

// The state of another network namespace, and of one that is gone, is nobody else's business.
func TestRulesOfSeveralNamespaces(t *testing.T) {
	t.Parallel()
	r := newGateway(t)
	r.must("rules", "apply")
	other := &ruled{Net: r.Net, t: t, host: r.Client, args: []string{"--rules.state_dir", r.args[len(r.args)-1]}}
	other.wantSays("there are no packet rules of whyreset here", 0, "rules", "status")
	other.wantSays("there are no packet rules of whyreset here", 0, "rules", "remove")
	r.wantSays("all is as planned", 0, "rules", "status")
	if files, _ := filepath.Glob(filepath.Join(r.args[len(r.args)-1], "*.json")); len(files) != 1 {
		t.Errorf("got state files %v, want one", files)
	}
}
