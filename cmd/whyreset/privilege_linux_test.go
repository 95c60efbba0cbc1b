package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
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
	path := filepath.Join(openFolder(t), "whyreset")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return path
}

// openFolder is one that other users may look into.
func openFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
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

// confined is a whyreset in a network namespace of its own, where its ports are free, as root there.
type confined struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

// startConfined starts it with a configuration. as, if given, changes who starts it.
func startConfined(t *testing.T, program, config string, as func(*syscall.SysProcAttr)) *confined {
	t.Helper()
	file := filepath.Join(openFolder(t), "whyreset.yaml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "run", "--config", file, "--log.format", "json")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Getuid() != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
	}
	if as != nil {
		as(cmd.SysProcAttr)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	err = cmd.Start()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) { // ENOSPC: user.max_user_namespaces
		t.Skipf("needs root, or a user namespace: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	t.Cleanup(func() {
		stuck.Stop()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &confined{t, cmd, bufio.NewScanner(out)}
}

// next is the next record of that action.
func (c *confined) next(action string) (l line) {
	c.t.Helper()
	for c.lines.Scan() {
		if err := json.Unmarshal(c.lines.Bytes(), &l); err != nil {
			c.t.Fatalf("%v in %s", err, c.lines.Text())
		}
		if l.Event.Action == action {
			return l
		}
	}
	c.t.Fatalf("no record %s came", action)
	return l
}

// want compares what each thread has.
func (c *confined) want(when string, want privileges) {
	c.t.Helper()
	for _, got := range privilegesOf(c.t, c.cmd.Process.Pid) {
		if got != want {
			c.t.Errorf("%s: a thread has %+v, want %+v", when, got, want)
		}
	}
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
			c := startConfined(t, whyreset, test.config, nil)
			if got := c.next("privileges"); !strings.HasPrefix(got.Message, test.say) || got.Level != "info" {
				t.Errorf("got %s %q, want info %q", got.Level, got.Message, test.say)
			}
			c.next("started")
			want := privileges{Permitted: test.keep, Effective: test.keep, NoNewPrivs: 1}
			c.want("started", want)
			c.cmd.Process.Signal(syscall.SIGHUP)
			c.next("reloaded")
			c.want("reloaded", want)
		})
	}
}

const tproxyAlone = `listeners: [{name: a, mode: tproxy, address: ":0"}]`

// A service manager starts it as an ordinary user with ambient capabilities: of these too only what is needed is left. The
// bounding set takes a right to be changed (CAP_SETPCAP), and stays.
func TestRunGivesUpAmbientCapabilities(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to start a program as another user")
	}
	whyreset := buildStatic(t)
	c := startConfined(t, whyreset, tproxyAlone, func(a *syscall.SysProcAttr) {
		a.Credential = &syscall.Credential{Uid: 65534, Gid: 65534, NoSetGroups: true}
		a.AmbientCaps = []uintptr{10, 12, 13} // CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW
	})
	c.next("started")
	before := privilegesOf(t, os.Getpid())[0]
	c.want("started", privileges{Permitted: kernel.NetRaw, Effective: kernel.NetRaw, Bounding: before.Bounding, NoNewPrivs: 1})
}

// With cgo linked in nothing is given up, on no thread, and that is said.
func TestRunWithCgoKeepsPrivileges(t *testing.T) {
	if !cgoLinked() {
		t.Skip("this program was built without cgo")
	}
	c := startConfined(t, "whyreset", tproxyAlone, nil) // testscript.Main has put this program in PATH
	if got := c.next("privileges"); got.Level != "warn" || !strings.Contains(got.Message, "built with cgo") {
		t.Errorf("got %s %q, want a warning that it was built with cgo", got.Level, got.Message)
	}
	c.next("started")
	all := privilegesOf(t, c.cmd.Process.Pid)
	if all[0].Permitted&kernel.NetAdmin == 0 {
		t.Errorf("got %+v, want all that root has", all[0])
	}
	c.want("started", all[0])
}

func cgoLinked() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "CGO_ENABLED" && s.Value == "1" })
}
