package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"whyreset/integration/lab"
	"whyreset/proxy/doctor"
)

// start starts the proxy with its records on standard output.
func (r *shipped) start(args ...string) *exec.Cmd {
	r.t.Helper()
	cmd := exec.Command(r.whyreset, append([]string{"run", "--config", r.config, "--log.output", "stdout"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.host().Start(cmd); err != nil {
		r.t.Fatal(err)
	}
	r.log = bufio.NewScanner(out)
	stuck := time.AfterFunc(2*patience, func() { cmd.Process.Kill() })
	r.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if !stuck.Stop() {
			r.t.Errorf("the proxy was killed after %v", 2*patience)
		}
	})
	r.next("started")
	return cmd
}

// next waits for a record of that action, and returns the name of its listener.
func (r *shipped) next(action string) (listener string) {
	r.t.Helper()
	for r.log.Scan() {
		var line struct {
			Event    struct{ Action string }
			Whyreset struct{ Listener string }
		}
		if err := json.Unmarshal(r.log.Bytes(), &line); err != nil {
			r.t.Fatalf("%v in %s", err, r.log.Text())
		}
		if line.Event.Action == action {
			return line.Whyreset.Listener
		}
	}
	r.t.Fatalf("no record %s came", action)
	return ""
}

// rights are the capabilities and no_new_privs of each thread, in short.
func rights(t *testing.T, pid int) (all map[string]int) {
	t.Helper()
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	all = map[string]int{}
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil { // else the thread has ended
			fields := regexp.MustCompile(`(?m)^(Cap...|NoNewPrivs):\s*(\S+)$`).FindAllStringSubmatch(string(text), -1)
			var words []string
			for _, f := range fields {
				words = append(words, f[1]+"="+strings.TrimLeft(f[2], "0"))
			}
			all[strings.Join(words, " ")]++
		}
	}
	return all
}

// What the proxy keeps of its rights is enough to carry connections as their clients, from ports that take a right too,
// before and after a reload.
func TestPrivilegesLeft(t *testing.T) {
	t.Parallel()
	r := newShipped(t, atRouter, routerConfig)
	cmd := r.start()
	r.apply()
	r.want(r.examine(false), "address", doctor.Note, fmt.Sprintf("a whyreset listens on :15001 already (process %d)", cmd.Process.Pid))

	const want = "CapInh= CapPrm=2400 CapEff=2400 CapBnd= CapAmb= NoNewPrivs=1" // CAP_NET_RAW and CAP_NET_BIND_SERVICE
	peer := r.serve(80, lab.Read(100), lab.Write(100), lab.ReadAll())
	for i, when := range []string{"at first", "after a reload"} {
		if got := rights(t, cmd.Process.Pid); len(got) != 1 || got[want] == 0 {
			t.Errorf("%s the threads have %v, want %s", when, got, want)
		}
		for _, port := range []uint16{40000, 900} {
			for _, version := range []int{4, 6} {
				host := r.Client.Addr4()
				if version == 6 {
					host = r.Client.Addr6()
				}
				from := netip.AddrPortFrom(host, port+uint16(i))
				out := lab.Run(t.Context(), r.dialFrom(from, r.server(version, 80)), lab.Script{Sends: 2, Expects: 1, Steps: steps(lab.Write(100), lab.Read(100))})
				if out.Read != 100 || out.Damage != nil {
					t.Errorf("%s from %v: %v, want 100 bytes back", when, from, out)
				}
				server, err := peer.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if server.Remote != from {
					t.Errorf("%s the server saw %v, want %v", when, server.Remote, from)
				}
				r.next("connection_closed")
			}
		}
		r.write(routerConfig + "timeouts: {connect: 7s}\n")
		cmd.Process.Signal(syscall.SIGHUP)
		r.next("reloaded")
	}
}

// Where the rules take what the proxy's own host sends, a listener of mode forward must not be taken for a client: what it
// dials goes to its upstream, and not by another listener.
func TestForwardBesideRules(t *testing.T) {
	t.Parallel()
	r := newShipped(t, atClient, `
listeners:
  - {name: taken, mode: redirect, address: ":15001", ports: "80-89"}
  - {name: fixed, address: "127.0.0.1:15002", upstream: "10.77.2.2:80"}
rules: {placement: client, state_dir: DIR}
log: {format: json}
`)
	r.start()
	if code, out := r.command(false, "rules", "apply"); code != 0 {
		t.Fatalf("rules apply: exit code %d: %s", code, out)
	}
	r.serve(80, lab.Read(100), lab.Write(100), lab.ReadAll())
	for _, way := range []struct {
		listener string
		to       netip.AddrPort
	}{{"taken", r.server(4, 80)}, {"fixed", netip.MustParseAddrPort("127.0.0.1:15002")}} {
		out, err := r.run(t.Context(), way.to, lab.Write(100), lab.Read(100))
		if err != nil {
			t.Fatal(err)
		}
		if out.Read != 100 || out.Damage != nil {
			t.Errorf("by %s: %v, want 100 bytes back", way.listener, out)
		}
		if got := r.next("connection_closed"); got != way.listener {
			t.Errorf("the connection to %v was carried by %s first, want %s", way.to, got, way.listener)
		}
	}
}

// Mode redirect on the service's own host carries connections with no right left; the process that keeps the rules has one.
func TestRedirectWithoutPrivileges(t *testing.T) {
	t.Parallel()
	r := newShipped(t, atServer, `
listeners:
  - {name: web, mode: redirect, address: ":15001", ports: "80-89"}
rules: {placement: server, state_dir: DIR}
log: {format: json}
`)
	keeper := r.start("--rules")
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // the rules come when the proxy listens
		code, out := r.command(false, "rules", "status")
		if code == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the rules are not in place: %s", out)
		}
	}
	r.serve(80, lab.Read(100), lab.Write(100), lab.ReadAll())
	for _, version := range []int{4, 6} {
		out, err := r.run(t.Context(), r.server(version, 80), lab.Write(100), lab.Read(100))
		if err != nil {
			t.Fatal(err)
		}
		if out.Read != 100 || out.Damage != nil {
			t.Errorf("IPv%d: %v, want 100 bytes back", version, out)
		}
		if got := r.next("connection_closed"); got != "web" {
			t.Errorf("IPv%d: carried by %s, want web", version, got)
		}
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", keeper.Process.Pid))
	for tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", keeper.Process.Pid)); len(tasks) > 0 && len(children) == 0; tasks = tasks[1:] {
		children, err = os.ReadFile(tasks[0])
	}
	worker, convErr := strconv.Atoi(strings.TrimSpace(string(children)))
	if err != nil || convErr != nil {
		t.Fatalf("children %q: %v, %v, want one proxy", children, err, convErr)
	}
	for pid, keeps := range map[int]string{worker: "", keeper.Process.Pid: "1000"} { // CAP_NET_ADMIN
		want := fmt.Sprintf("CapInh= CapPrm=%s CapEff=%[1]s CapBnd= CapAmb= NoNewPrivs=1", keeps)
		got := rights(t, pid)
		for deadline := time.Now().Add(patience); (len(got) != 1 || got[want] == 0) && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			got = rights(t, pid) // the keeper gives up what it does not need after the rules are there
		}
		if len(got) != 1 || got[want] == 0 {
			t.Errorf("the threads of %d have %v, want %s", pid, got, want)
		}
	}
	keeper.Process.Signal(syscall.SIGTERM)
	if r.next("stopped"); r.log.Scan() {
		t.Errorf("after the end there is %s", r.log.Text())
	}
	if _, out := r.command(false, "rules", "status"); !strings.Contains(out, "not in place") {
		t.Errorf("after the end the rules are: %s", out)
	}
}
