package lab_test

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"whyreset/integration/lab"
)

// held counts what this process keeps of the kernel's: the network namespaces that its threads are in or that it has
// open, and its other files.
func held(t *testing.T) map[string]int {
	t.Helper()
	all := map[string]int{}
	threads, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range threads {
		if ns, err := os.Readlink(link); err == nil { // threads come and go
			all[ns] = 1
		}
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && to != fmt.Sprintf("/proc/%d/fd", os.Getpid()) {
			all["fd "+to]++
		}
	}
	return all
}

// spaces counts the network namespaces that threads are in.
func spaces(held map[string]int) (n int) {
	for what := range held {
		if strings.HasPrefix(what, "net:") {
			n++
		}
	}
	return n
}

// Not parallel: it looks at the whole process.
func TestCloseLeavesNothing(t *testing.T) {
	// The runtime keeps what it uses for the first time: the poller, for one.
	newNet(t, lab.NFT).Close()
	var before map[string]int
	wait(t, "the threads of earlier hosts", func() error {
		if before = held(t); spaces(before) != 1 {
			return fmt.Errorf("still there: %v", before)
		}
		return nil
	})
	goroutines := goleak.IgnoreCurrent()

	for range 3 {
		n := newNet(t, lab.NFT)
		if got := spaces(held(t)); got != 4 {
			t.Errorf("with three hosts: got %d network namespaces, want 4", got)
		}
		ln, err := n.Server.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		peer := lab.Serve(ln, lab.Script{Steps: []lab.Step{lab.Stall()}})
		conn, err := n.Client.Dial(withTimeout(t), "tcp", netip.AddrPortFrom(n.Server.Addr4(), 80))
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Router.NFT(rule("forward", "tcp dport 80 drop")); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		peer.Stop()
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, "namespaces and files", func() error {
		if now := held(t); !maps.Equal(now, before) {
			return fmt.Errorf("before: %v\nafter: %v", before, now)
		}
		return nil
	})
	wait(t, "goroutines", func() error { return goleak.Find(goroutines) })
}

// wait is for ends that come a little after Close: a thread's, for one.
func wait(t *testing.T, what string, is func() error) {
	t.Helper()
	var err error
	for start := time.Now(); time.Since(start) < 10*time.Second; time.Sleep(5 * time.Millisecond) {
		if err = is(); err == nil {
			return
		}
	}
	t.Errorf("%s: %v", what, err)
}
