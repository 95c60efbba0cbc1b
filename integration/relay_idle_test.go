package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"

	"whyreset/proxy/relay"
)

func init() { relayParts["relay"] = playRelay }

// usage is what a process with a relay takes.
type usage struct {
	Active     int
	RSS        int // bytes
	Goroutines int
	Open       map[string]int
}

// playRelay runs a relay in front of the upstream, says where it listens, and then for each line it is given says its usage.
func playRelay(upstream string) error {
	to, err := netip.ParseAddrPort(upstream)
	if err != nil {
		return err
	}
	r, err := relay.New(relay.Options{Ended: func([]relay.Ended) {}})
	if err != nil {
		return err
	}
	target := relay.NewTarget("upstream")
	target.Set([]netip.AddrPort{to})
	at, err := r.Listen(relay.Listener{Address: anyPort, Target: target})
	if err != nil {
		return err
	}
	r.Start()
	defer r.Close()
	fmt.Println(at)
	out := json.NewEncoder(os.Stdout)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		u, err := readUsage()
		if err != nil {
			return err
		}
		u.Active = r.Active()
		if err := out.Encode(u); err != nil {
			return err
		}
	}
	return nil
}

func readUsage() (u usage, err error) {
	debug.FreeOSMemory()
	u.Goroutines = runtime.NumGoroutine()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return u, err
	}
	var size, resident int
	if _, err := fmt.Sscan(string(statm), &size, &resident); err != nil {
		return u, err
	}
	u.RSS = resident * os.Getpagesize()
	u.Open, err = openFiles()
	return u, err
}

func (c *child) usage() (u usage) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		c.t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(c.line()), &u); err != nil {
		c.t.Fatal(err)
	}
	return u
}

// TestIdleConnections: an idle connection costs two descriptors, no pipe, no goroutine and little memory.
func TestIdleConnections(t *testing.T) {
	connections := 5000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	// Two descriptors each, here as there, and some to spare.
	if most := (int(limit.Cur) - 500) / 2; most < connections {
		t.Logf("%d connections instead of %d: this process may have %d descriptors", most, connections, limit.Cur)
		connections = most
	}
	ln := listenTCP(t)
	c := startChild(t, fmt.Sprintf("relay %v", addressOf(ln.Addr())))
	relayed := c.line()

	request, answer := make([]byte, 100), make([]byte, 100_000)
	open := func(n int) {
		for i := range n {
			client, err := net.Dial("tcp", relayed)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { client.Close() })
			server, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { server.Close() })
			back := answer[:100]
			if i%50 == 0 { // enough for a pipe
				back = answer
			}
			for _, way := range []struct {
				from, to net.Conn
				b        []byte
			}{{client, server, request}, {server, client, back}} {
				sent := make(chan error, 1)
				go func() { _, err := way.from.Write(way.b); sent <- err }()
				if _, err := io.ReadFull(way.to, make([]byte, len(way.b))); err != nil {
					t.Fatal(err)
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	before := c.usage()
	open(100) // what is made once, as buffers are
	warm := c.usage()
	open(connections - 100)
	full := c.usage()

	each := (full.RSS - warm.RSS) / (connections - 100)
	t.Logf("%d idle connections: resident %.1f MB, with 100 %.1f MB, with none %.1f MB: %d bytes each; %d goroutines, with none %d; open %v",
		connections, mb(full.RSS), mb(warm.RSS), mb(before.RSS), each, full.Goroutines, before.Goroutines, full.Open)
	if full.Active != connections {
		t.Errorf("%d connections are carried, want %d", full.Active, connections)
	}
	if each >= 4096 && !underRaceDetector() {
		t.Errorf("%d bytes each, want less than 4096", each)
	}
	if got, want := full.Open["socket"]-before.Open["socket"], 2*connections; got != want {
		t.Errorf("%d descriptors, want %d", got, want)
	}
	// Pipes in the pool are the loops', not the connections': a steady load of bulk would make none.
	if idle := full.Open["pipe"] - before.Open["pipe"]; idle > 2*runtime.NumCPU() {
		t.Errorf("%d descriptors of pipes, want those of one idle pipe for each loop at most", idle)
	}
	if full.Goroutines != before.Goroutines {
		t.Errorf("%d goroutines, want %d as without connections", full.Goroutines, before.Goroutines)
	}
}

// underRaceDetector says whether every byte has a shadow that counts as resident too.
func underRaceDetector() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

func mb(bytes int) float64 { return float64(bytes) / (1 << 20) }

// openFiles counts what this process has open, by kind.
func openFiles() (map[string]int, error) {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	kinds := map[string]int{}
	for _, f := range files {
		if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil {
			kind, _, _ := strings.Cut(to, ":[")
			kinds[kind]++
		}
	}
	return kinds, nil
}
