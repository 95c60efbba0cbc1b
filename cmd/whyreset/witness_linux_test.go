package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"net"
	"os/exec"
	"regexp"
	"syscall"
	"testing"
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/proxy/watch"
)

// What was opened with rights that are given up since goes on telling.
func TestRunHearsTheKernelWithoutRights(t *testing.T) {
	want := evidence.Watched
	if w, err := watch.OpenWitness(); err != nil {
		want = err.Error()
	} else {
		w.Close()
	}
	cmd := exec.Command(buildStatic(t), "run", "--forward", "127.0.0.1:0=127.0.0.1:1", "--log.format", "json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	stuck := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer stuck.Stop()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatalf("%v in %s", err, lines.Text())
		}
		switch l.Event.Action {
		case "started":
			for _, got := range privilegesOf(t, cmd.Process.Pid) {
				if got.Permitted != 0 {
					t.Errorf("a thread has %v, want no rights", got)
				}
			}
			m := regexp.MustCompile(` on (\S+) to `).FindStringSubmatch(l.Message)
			if m == nil {
				t.Fatalf("got %q, want the address in it", l.Message)
			}
			c, err := net.Dial("tcp", m[1])
			if err == nil {
				defer c.Close()
			} else if !errors.Is(err, syscall.ECONNRESET) { // the proxy resets it, at times before it is reported
				t.Fatal(err)
			}
		case "connection_refused":
			if got := l.Whyreset.Coverage.Witness; got != want {
				t.Errorf("got coverage %q, want %q", got, want)
			}
			return
		}
	}
	t.Fatal("no record came")
}
