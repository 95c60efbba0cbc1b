package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"whyreset/proxy/kernel"
)

// buildStatic makes the command as it is shipped. A test's own program often has cgo linked in, and then the kernel's
// answer cannot be shown with it.
func buildStatic(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "whyreset")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return path
}

// privileges are those of one thread, as /proc has them.
type privileges struct {
	Inheritable, Permitted, Effective, Bounding, Ambient kernel.Capabilities
	NoNewPrivs                                           int
}

// privilegesOf reads those of each thread.
func privilegesOf(t *testing.T, pid int) (all []privileges) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("got %v and %d threads", err, len(files))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		var p privileges
		for name, to := range map[string]*kernel.Capabilities{"CapInh": &p.Inheritable, "CapPrm": &p.Permitted, "CapEff": &p.Effective,
			"CapBnd": &p.Bounding, "CapAmb": &p.Ambient} {
			n, err := strconv.ParseUint(statusField(t, string(text), name), 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			*to = kernel.Capabilities(n)
		}
		p.NoNewPrivs, _ = strconv.Atoi(statusField(t, string(text), "NoNewPrivs"))
		all = append(all, p)
	}
	return all
}

func statusField(t *testing.T, text, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + name + `:\s*(\S+)$`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in %s", name, text)
	}
	return m[1]
}

// Root, or the root of a user namespace where the tests run as somebody else, keeps what its listeners need and no more, on
// every thread, also after a reload.
func TestRunGivesUpPrivileges(t *testing.T) {
	whyreset := buildStatic(t)
	for _, test := range []struct {
		name, config string
		keep         kernel.Capabilities
		say          string
	}{
		{"forward", `listeners: [{name: a, address: ":0", upstream: "127.0.0.1:9"}]`, 0, "capabilities kept: none"},
		{"redirect, rules unknown", `listeners: [{name: a, mode: redirect, address: ":0"}]`, kernel.NetRaw,
			"capabilities kept: CAP_NET_RAW (listener a: SO_MARK 0x57"},
		{"redirect on the service's host", `{listeners: [{name: a, mode: redirect, address: ":15001", ports: "80"}], rules: {placement: server}}`, 0,
			"capabilities kept: none"},
		{"redirect on the clients' host", `{listeners: [{name: a, mode: redirect, address: ":15001", ports: "80"}], rules: {placement: client}}`, kernel.NetRaw,
			"capabilities kept: CAP_NET_RAW (listener a: SO_MARK 0x57"},
		{"tproxy", `listeners: [{name: a, mode: tproxy, address: ":0"}]`, kernel.NetRaw, "capabilities kept: CAP_NET_RAW (listener a: IP_TRANSPARENT"},
		{"tproxy as the client", `listeners: [{name: a, mode: tproxy, source: client, address: ":0"}]`, kernel.NetRaw | kernel.NetBindService,
			"capabilities kept: CAP_NET_BIND_SERVICE, CAP_NET_RAW ("},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "whyreset.yaml")
			if err := os.WriteFile(file, []byte(test.config), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(whyreset, "run", "--config", file, "--log.format", "json")
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET} // where its ports are free
			if os.Getuid() != 0 {
				cmd.SysProcAttr = &syscall.SysProcAttr{
					Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
					UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
					GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
				}
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Skipf("needs root, or a user namespace: %v", err)
			}
			defer cmd.Wait()
			defer cmd.Process.Kill()
			stuck := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
			defer stuck.Stop()
			lines := bufio.NewScanner(out)
			next := func(action string) (l line) {
				for lines.Scan() {
					if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
						t.Fatalf("%v in %s", err, lines.Text())
					}
					if l.Event.Action == action {
						return l
					}
				}
				t.Fatalf("no record %s came", action)
				return l
			}
			if got := next("privileges"); !strings.HasPrefix(got.Message, test.say) || got.Level != "info" {
				t.Errorf("got %s %q, want info %q", got.Level, got.Message, test.say)
			}
			next("started")
			want := privileges{Permitted: test.keep, Effective: test.keep, NoNewPrivs: 1}
			for _, when := range []string{"started", "reloaded"} {
				for _, got := range privilegesOf(t, cmd.Process.Pid) {
					if got != want {
						t.Errorf("%s: a thread has %v, want %v", when, got, want)
					}
				}
				if when == "started" {
					cmd.Process.Signal(syscall.SIGHUP)
					next("reloaded")
				}
			}
		})
	}
}
