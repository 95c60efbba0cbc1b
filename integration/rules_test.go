package integration

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"whyreset/diagnose/record"
	"whyreset/integration/lab"
	"whyreset/proxy/rules"
)

// whyreset is the command as it is shipped, made once; commandDir is where, for TestMain to remove.
var whyreset = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "whyreset-command-")
	if err != nil {
		return "", err
	}
	commandDir = dir
	path := filepath.Join(dir, "whyreset")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", path, "whyreset/cmd/whyreset") // git may not trust a folder of another user
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, said)
	}
	return path, nil
})

var commandDir string

// ruled is a host in the lab on which the command is used. The server answers on ports 80 to 82 with what it sees.
type ruled struct {
	*lab.Net
	t    *testing.T
	host *lab.Host
	args []string // of every command: configuration and state
}

// newRuled gives a host a configuration.
func newRuled(t *testing.T, host func(*lab.Net) *lab.Host, config string) *ruled {
	t.Helper()
	n := newLab(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "whyreset.yaml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return &ruled{Net: n, t: t, host: host(n), args: []string{"--config", file, "--rules.state_dir", filepath.Join(dir, "state")}}
}

func (r *ruled) command(args ...string) *exec.Cmd {
	r.t.Helper()
	path, err := whyreset()
	if err != nil {
		r.t.Fatal(err)
	}
	return exec.Command(path, append(args, r.args...)...)
}

// try runs a command to its end.
func (r *ruled) try(args ...string) (said string, code int) {
	r.t.Helper()
	said, err := r.host.Run(r.command(args...))
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return said + err.Error(), exit.ExitCode()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return said, 0
}

// must runs a command that has to work.
func (r *ruled) must(args ...string) string {
	r.t.Helper()
	said, code := r.try(args...)
	if code != 0 {
		r.t.Fatalf("whyreset %s: exit code %d: %s", strings.Join(args, " "), code, said)
	}
	return said
}

// stands is everything that rules change on the host, byte for byte.
func (r *ruled) stands() string {
	r.t.Helper()
	out, err := r.host.Run(exec.Command("/bin/sh", "-c", `PATH=$PATH:/usr/sbin:/sbin
nft -s list ruleset && ip -d rule && ip -6 -d rule && ip route show table all && ip -6 route show table all &&
grep . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv[46]/conf/*/forwarding /proc/sys/net/ipv4/conf/*/accept_redirects`))
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

func (r *ruled) wantStands(when, want string) {
	r.t.Helper()
	got := r.stands()
	lines, wanted := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(lines), len(wanted)) {
		if i >= len(lines) || i >= len(wanted) || lines[i] != wanted[i] {
			r.t.Errorf("%s, from line %d on:\n%s\nwant what was there before:\n%s", when, i+1,
				strings.Join(lines[min(i, len(lines)):], "\n"), strings.Join(wanted[min(i, len(wanted)):], "\n"))
			return
		}
	}
}

// kept is "whyreset run --rules", which this program started.
type kept struct {
	*ruled
	cmd     *exec.Cmd
	worker  int // the process of the proxy
	records chan *record.Connection
	notices chan string // event.action of the other records
	errors  *os.File    // standard error: a file, for what the process started may hold it for longer
	ended   chan struct{}
}

// run starts the proxy with its rules and waits until they are in place.
func (r *ruled) run(args ...string) *kept {
	r.t.Helper()
	k := &kept{ruled: r, cmd: r.command(append([]string{"run", "--rules"}, args...)...),
		records: make(chan *record.Connection, 1000), notices: make(chan string, 1000), ended: make(chan struct{})}
	out, hisOut, err := os.Pipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if k.errors, err = os.CreateTemp(r.t.TempDir(), "errors"); err != nil {
		r.t.Fatal(err)
	}
	k.cmd.Stdout, k.cmd.Stderr = hisOut, k.errors
	if err := r.host.Start(k.cmd); err != nil {
		r.t.Fatal(err)
	}
	hisOut.Close()
	go k.read(out)
	go func() {
		k.cmd.Wait()
		close(k.ended)
	}()
	r.t.Cleanup(func() {
		k.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-k.ended:
		case <-time.After(patience):
			r.t.Errorf("run --rules does not end: %s", k.said())
			k.cmd.Process.Kill()
		}
		k.errors.Close()
	})
	// What an earlier run left is released by the time the proxy listens, so that it is not taken for the new rules.
	if !k.notice("started") {
		r.t.Fatalf("run --rules does not start: %s", k.said())
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if _, code := r.try("rules", "status"); code == 0 {
			break
		}
		select {
		case <-k.ended:
			r.t.Fatalf("run --rules ended: %v: %s", k.cmd.ProcessState, k.said())
		default:
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("the rules are not in place within %v: %s", patience, k.said())
		}
	}
	// A listing of /proc may lack a process while others come and go.
	for deadline := time.Now().Add(patience); k.worker == 0; k.worker = childOf(k.cmd.Process.Pid) {
		if time.Now().After(deadline) {
			r.t.Fatalf("run --rules has no child: %v: %s", k.cmd.ProcessState, k.said())
		}
	}
	return k
}

func (k *kept) said() string {
	text, _ := os.ReadFile(k.errors.Name())
	return string(text)
}

func (k *kept) read(out *os.File) {
	defer out.Close()
	defer close(k.records)
	defer close(k.notices)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if c, err := record.Parse(lines.Bytes()); err == nil && c.Listener != "" {
			k.records <- c
			continue
		}
		_, action, _ := strings.Cut(lines.Text(), `"action":"`)
		action, _, _ = strings.Cut(action, `"`)
		select {
		case k.notices <- action:
		default:
		}
	}
}

// childOf is the only child of a process; 0 where there is none.
func childOf(parent int) int {
	files, _ := filepath.Glob("/proc/[0-9]*/status")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		if strings.Contains(string(text), fmt.Sprintf("\nPPid:\t%d\n", parent)) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			return pid
		}
	}
	return 0
}

// wait returns the exit code.
func (k *kept) wait() int {
	k.t.Helper()
	select {
	case <-k.ended:
	case <-time.After(patience):
		k.t.Fatalf("run --rules does not end: %s", k.said())
	}
	return k.cmd.ProcessState.ExitCode()
}

// answer serves: whoever connects is told under which address it is seen.
func (r *ruled) answer(h *lab.Host, port int) {
	r.t.Helper()
	ln, err := h.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(conn, conn.RemoteAddr())
			conn.Close()
		}
	}()
}

// ask connects and returns under which address the server saw it.
func (r *ruled) ask(from *lab.Host, to netip.AddrPort, within time.Duration) (seen netip.AddrPort, own netip.AddrPort, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	conn, err := from.Dial(ctx, "tcp", to)
	if err != nil {
		return seen, own, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(within))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return seen, own, err
	}
	seen, err = netip.ParseAddrPort(strings.TrimSpace(line))
	own = conn.LocalAddr().(*net.TCPAddr).AddrPort()
	return plainAddr(seen), plainAddr(own), err
}

func plainAddr(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// carried asks through the proxy, whose record must tell of it.
func (k *kept) carried(from *lab.Host, to netip.AddrPort) {
	k.t.Helper()
	seen, _, err := k.ask(from, to, patience)
	if err != nil {
		k.t.Fatalf("through the proxy to %v: %v", to, err)
	}
	select {
	case c, ok := <-k.records:
		if !ok || c.Destination != to || c.Upstream.Local != seen {
			k.t.Fatalf("to %v: got record %+v, want one of a connection that the server saw come from %v", to, c, seen)
		}
	case <-time.After(patience):
		k.t.Fatalf("no record tells of a connection to %v", to)
	}
}

// direct asks until it is answered without a proxy, which must be soon.
func (r *ruled) direct(from *lab.Host, to netip.AddrPort, limit time.Duration) {
	r.t.Helper()
	began := time.Now()
	for {
		seen, own, err := r.ask(from, to, time.Second)
		took := time.Since(began)
		switch {
		case err == nil && seen == own && took <= limit:
			return
		case took > limit:
			r.t.Errorf("to %v: %v after its end the server is still not reached directly: seen %v, own %v, %v", to, took, seen, own, err)
			return
		}
	}
}

var (
	onRouter = func(n *lab.Net) *lab.Host { return n.Router }
	onServer = func(n *lab.Net) *lab.Host { return n.Server }
	onClient = func(n *lab.Net) *lab.Host { return n.Client }
)

// rulesLimit is within what time new connections must go direct once a proxy was killed.
const rulesLimit = 3 * time.Second

// In each placement the command applies the rules, connections pass and are recorded, and whatever way the proxy or both
// processes end, nothing stays.
func TestRulesOfEachPlacement(t *testing.T) {
	t.Parallel()
	type way struct {
		name   string
		host   func(*lab.Net) *lab.Host
		config string
		out    bool // it also takes what its own host connects to
	}
	ways := []way{
		{name: "router, several", host: onRouter, config: `
rules: {placement: router, sysctls: set}
listeners:
  - {name: web, mode: tproxy, address: ":15001", source: client, ports: 80}
  - {name: other, mode: redirect, address: ":15002", ports: 90-99}
`},
		{name: "pod, incoming", host: onServer, config: `
rules: {placement: pod, mark: 0x1234}
listeners:
  - {name: web, mode: tproxy, address: ":15001", ports: 80, direction: in}
`},
	}
	hosts := map[rules.Placement]func(*lab.Net) *lab.Host{rules.Router: onRouter, rules.Server: onServer, rules.Client: onClient, rules.Pod: onServer}
	for _, triple := range rules.Triples {
		if triple.Reason == "" {
			ways = append(ways, way{
				name: fmt.Sprintf("%s, %s, %s", triple.Placement, triple.Mode, triple.Source), host: hosts[triple.Placement], out: triple.Placement == rules.Pod,
				config: fmt.Sprintf("rules: {placement: %s, sysctls: set}\nlisteners:\n  - {name: web, mode: %s, source: %s, address: \":15001\", ports: 80}\n",
					triple.Placement, triple.Mode, triple.Source),
			})
		}
	}
	for _, test := range ways {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRuled(t, test.host, test.config)
			if test.host(r.Net) == r.Router {
				if err := r.Router.Sysctl("net.ipv4.conf.all.forwarding", "0"); err != nil {
					t.Fatal(err)
				}
			}
			r.answer(r.Server, 80)
			r.answer(r.Client, 80)
			before := r.stands()
			open := strings.Contains(r.must("rules", "show", "--format", "json"), `"without_proxy":"fail-open`)
			all := []netip.AddrPort{netip.AddrPortFrom(r.Server.Addr4(), 80), netip.AddrPortFrom(r.Server.Addr6(), 80)}
			through := func(k *kept) {
				t.Helper()
				for _, to := range all {
					k.carried(r.Client, to)
				}
				if test.out {
					k.carried(r.Server, netip.AddrPortFrom(r.Client.Addr4(), 80))
					k.carried(r.Server, netip.AddrPortFrom(r.Client.Addr6(), 80))
				}
			}

			k := r.run()
			through(k)
			lacks(t, k.worker)
			with := r.stands()
			// The proxy dies.
			if err := syscall.Kill(k.worker, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if test.host(r.Net) != r.Router { // which does not forward of itself
				r.direct(r.Client, all[0], rulesLimit)
			}
			if code := k.wait(); code != 128+int(syscall.SIGKILL) {
				t.Errorf("got exit code %d, want that of a kill", code)
			}
			r.wantStands("after kill -9 of the proxy", before)

			// Both die.
			k = r.run()
			through(k)
			k.cmd.Process.Kill()
			k.wait()
			if got := k.notice("rules_unattended"); !got {
				t.Error("the proxy does not say that its parent is gone")
			}
			through(k) // it goes on
			if err := syscall.Kill(k.worker, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			for range k.records { // until its output ends, and it with it
			}
			k.worker = 0
			r.wantStands("after kill -9 of both", with)
			r.wantSays("the process that kept the rules was killed", 1, "rules", "status")
			r.wantSays("the process that kept them was killed", 0, "doctor")
			for _, to := range all {
				if open {
					r.direct(r.Client, to, rulesLimit)
				} else if seen, _, err := r.ask(r.Client, to, time.Second); err == nil {
					t.Errorf("to %v: got an answer to %v, where rules show says that nobody answers", to, seen)
				}
			}

			// The next start sweeps, and stops in order.
			k = r.run()
			through(k)
			k.cmd.Process.Signal(syscall.SIGTERM)
			if code := k.wait(); code != 0 {
				t.Errorf("got exit code %d after SIGTERM, want 0: %s", code, k.said())
			}
			r.wantStands("after an orderly end", before)
			if said, code := r.try("rules", "status", "--rules.placement", "none"); code == 0 && !strings.Contains(said, "no packet rules") {
				t.Errorf("status at the end: got %s", said)
			}
		})
	}
}

// notice waits for a record of the program's own.
func (k *kept) notice(action string) bool {
	limit := time.After(patience)
	for {
		select {
		case got, more := <-k.notices:
			if got == action || !more {
				return more
			}
		case <-limit:
			return false
		}
	}
}

// lacks wants a proxy that may not change packet rules.
func lacks(t *testing.T, pid int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.TrimSpace(value)
	}
	for _, name := range []string{"CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		n, err := strconv.ParseUint(fields[name], 16, 64)
		if err != nil || n&(1<<12) != 0 {
			t.Errorf("%s of the proxy is %s, want it without CAP_NET_ADMIN", name, fields[name])
		}
	}
}
