package integration

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"whyreset/proxy/doctor"
	"whyreset/proxy/rules"
)

func init() { relayParts["powerless"] = becomePowerless }

// becomePowerless becomes the program that its arguments name, as user 0 without a capability.
func becomePowerless(arguments string) error {
	runtime.LockOSThread() // what follows is about the thread, and execve takes that of the one that calls it
	const setSecurebits, noRoot = 28, 1<<0 | 1<<1
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setSecurebits, noRoot, 0); errno != 0 {
		return errno
	}
	args := strings.Fields(arguments)
	return syscall.Exec(args[0], args, os.Environ())
}

// buildCommand makes the command as it is shipped, without cgo.
func buildCommand(t *testing.T) string {
	t.Helper()
	path, err := whyreset()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// shipped is the command as it is shipped, with a configuration, on one of the lab's hosts.
type shipped struct {
	*placed
	whyreset, config string
	log              *bufio.Scanner // of serve's
}

// newShipped writes the configuration, in which DIR is a folder that the command may write to.
func newShipped(t *testing.T, at stand, config string) *shipped {
	t.Helper()
	r := &shipped{whyreset: buildCommand(t), config: filepath.Join(t.TempDir(), "whyreset.yaml")}
	r.placed = &placed{Net: newLab(t), t: t, stand: at, mode: rules.TProxy, source: rules.SourceClient}
	r.write(config)
	return r
}

func (r *shipped) write(config string) {
	r.t.Helper()
	config = strings.ReplaceAll(config, "DIR", filepath.Dir(r.config))
	if err := os.WriteFile(r.config, []byte(config), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// command runs whyreset, and returns its exit code and what it wrote.
func (r *shipped) command(powerless bool, args ...string) (code int, out string) {
	r.t.Helper()
	args = append(append([]string{r.whyreset}, args...), "--config", r.config)
	cmd := exec.Command(args[0], args[1:]...)
	if powerless {
		cmd = program("powerless " + strings.Join(args, " "))
	}
	stuck := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer stuck.Stop()
	out, err := r.host().Run(cmd)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	if exit != nil {
		return exit.ExitCode(), out + err.Error()
	}
	return 0, out
}

// examine runs the doctor, which must exit with 1 if it finds a failure and with 0 otherwise.
func (r *shipped) examine(powerless bool, args ...string) (all []doctor.Finding) {
	r.t.Helper()
	began := time.Now()
	code, out := r.command(powerless, append([]string{"doctor", "--format", "json"}, args...)...)
	for line := range strings.Lines(out) {
		var f doctor.Finding
		if !strings.HasPrefix(line, "{") {
			continue // the exit code in words
		}
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			r.t.Fatalf("%v in %s", err, line)
		}
		all = append(all, f)
	}
	want := 0
	if doctor.Worst(all) == doctor.Fail {
		want = 1
	}
	if len(all) < 10 || code != want {
		r.t.Errorf("exit code %d with %d findings, want %d with more:\n%s", code, len(all), want, out)
	}
	if took := time.Since(began); took > patience/2 {
		r.t.Errorf("it took %v", took)
	}
	return all
}

// want looks for one finding.
func (r *shipped) want(all []doctor.Finding, id string, level doctor.Level, what string) {
	r.t.Helper()
	var got []string
	for _, f := range all {
		if f.ID == id && f.Level == level && strings.Contains(f.What, what) {
			return
		}
		if f.ID == id || f.Level == doctor.Fail {
			got = append(got, fmt.Sprintf("%s %s: %s", f.Level, f.ID, f.What))
		}
	}
	r.t.Errorf("no %s %s: … %s … in:\n%s", level, id, what, strings.Join(got, "\n"))
}

func (r *shipped) fails(all []doctor.Finding) (ids []string) {
	for _, f := range all {
		if f.Level == doctor.Fail {
			ids = append(ids, f.ID)
		}
	}
	return ids
}

const routerConfig = `
listeners:
  - {name: db, mode: tproxy, source: client, address: ":15001", ports: "80-89"}
rules: {placement: router, sysctls: set, state_dir: DIR}
log: {output: DIR/whyreset.json, format: json}
`

// What breaks a configuration on a host is found there, and nothing else is.
func TestDoctor(t *testing.T) {
	t.Parallel()
	r := newShipped(t, atRouter, routerConfig)

	all := r.examine(true)
	r.want(all, "need", doctor.Fail, "lacks CAP_NET_RAW or CAP_NET_ADMIN for IP_TRANSPARENT")
	r.want(all, "need", doctor.Note, "lacks CAP_NET_BIND_SERVICE")
	r.want(all, "ip_transparent", doctor.Note, "may not be set")
	r.want(all, "nftables", doctor.Note, "no CAP_NET_ADMIN")
	if ids := r.fails(all); len(ids) != 1 {
		t.Errorf("without a capability %q fail, want one need", ids)
	}

	all = r.examine(false)
	r.want(all, "need", doctor.OK, "CAP_NET_RAW")
	r.want(all, "ip_transparent", doctor.OK, "may be set")
	r.want(all, "nftables", doctor.OK, "may be put")
	r.want(all, "rules", doctor.Warn, "not in place: there is no")
	if ids := r.fails(all); len(ids) != 0 {
		t.Errorf("without rules %q fail, want nothing", ids)
	}

	if code, out := r.command(false, "rules", "apply"); code != 0 {
		t.Fatalf("rules apply: exit code %d: %s", code, out)
	}
	all = r.examine(false)
	r.want(all, "rules", doctor.OK, "in place")
	r.want(all, "rules_sysctl", doctor.OK, "net.ipv4.ip_forward = 1")
	if ids := r.fails(all); len(ids) != 0 {
		t.Errorf("with all in place %q fail, want nothing", ids)
	}
	r.want(r.examine(false, "--rules.state_dir", os.DevNull+"/state"), "state_dir", doctor.Warn, "nothing can be written to "+os.DevNull)
	r.want(r.examine(false, "--rules.mark", "0x77"), "rules", doctor.Warn, "others than the configuration asks for")

	if err := r.Router.NFT("delete table inet whyreset"); err != nil {
		t.Fatal(err)
	}
	r.want(r.examine(false), "rules", doctor.Warn, "in place only in part; not as they were put: table inet whyreset")
	if code, out := r.command(false, "rules", "remove"); code != 0 {
		t.Errorf("rules remove: exit code %d: %s", code, out)
	}

	if err := r.Router.Sysctl("net.ipv4.tcp_syncookies", "2"); err != nil {
		t.Fatal(err)
	}
	r.want(r.examine(false), "syncookies", doctor.Fail, "tcp_syncookies=2")

	// Mode redirect on the service's own host takes no right at all, not even one to find that out.
	r.stand = atServer
	r.write(`
listeners:
  - {name: web, mode: redirect, address: ":15001", ports: "80"}
  - {name: other, address: "10.77.2.2:1", upstream: "10.77.1.1:1"}
rules: {placement: server, state_dir: DIR}
`)
	all = r.examine(true, "--connect")
	r.want(all, "address", doctor.OK, "can listen on :15001")
	r.want(all, "address", doctor.Fail, "cannot listen on 10.77.2.2:1: permission denied")
	r.want(all, "upstream_connect", doctor.Fail, "10.77.1.1:1 cannot be reached: connection refused")
	if ids := r.fails(all); len(ids) != 2 {
		t.Errorf("on the service's host %q fail, want an address and an upstream", ids)
	}
}
