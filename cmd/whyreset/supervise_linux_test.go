package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"whyreset/proxy/kernel"
)

// The proxy of run --rules runs as rules.user, which exempts it, and with what that user needs and no more. It is tried in a
// network namespace of its own; others that the lab makes have no second user.
func TestRulesUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can run the proxy as another user")
	}
	path := buildStatic(t)
	for _, test := range []struct {
		name, config string
		want         kernel.Capabilities
	}{
		{"redirect", "rules: {placement: client, mark: 0, user: 65534}\nlisteners: [{mode: redirect, address: \":15001\", ports: 80}]\n", 0},
		{"tproxy", "rules: {placement: client, user: 65534}\nlisteners: [{mode: tproxy, address: \":15001\", ports: 80}]\n", kernel.NetRaw},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Dir(path)
			config := filepath.Join(dir, test.name+".yaml")
			// The folders of tests are closed to others.
			if err := errors.Join(os.WriteFile(config, []byte(test.config), 0o644), os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("/bin/sh", "-c", `PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && exec "$@"`, "sh",
				path, "run", "--rules", "--config", config, "--rules.state_dir", t.TempDir())
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
			var said strings.Builder
			cmd.Stderr = &said
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); errors.Is(err, syscall.EPERM) {
				t.Skipf("this root may make no network namespace: %v", err)
			} else if err != nil {
				t.Fatal(err)
			}
			stuck := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
			defer stuck.Stop()
			started := false
			for lines := bufio.NewScanner(out); !started && lines.Scan(); {
				started = strings.Contains(lines.Text(), `"action":"started"`)
			}
			if !started {
				t.Fatalf("it does not start: %s", said.String())
			}
			worker := childOf(t, cmd.Process.Pid)
			for _, p := range privilegesOf(t, worker) {
				if p.Permitted != test.want || p.Effective != test.want || p.Bounding&kernel.NetAdmin != 0 {
					t.Errorf("got %+v, want %v, and CAP_NET_ADMIN out of reach", p, test.want)
				}
			}
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", worker))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), "\nUid:\t65534\t65534\t65534\t65534\n") {
				t.Errorf("the proxy does not run as user 65534: %s", text)
			}
			cmd.Process.Signal(syscall.SIGTERM)
			if err := cmd.Wait(); err != nil {
				t.Errorf("got %v, want an orderly end: %s", err, said.String())
			}
		})
	}
}

// childOf is the only child of a process. A listing of /proc may lack a process while others come and go.
func childOf(t *testing.T, parent int) int {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		files, _ := filepath.Glob("/proc/[0-9]*/status")
		for _, file := range files {
			text, _ := os.ReadFile(file)
			if strings.Contains(string(text), fmt.Sprintf("\nPPid:\t%d\n", parent)) {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
				return pid
			}
		}
	}
	t.Fatalf("process %d has no child", parent)
	return 0
}
