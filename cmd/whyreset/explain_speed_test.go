package main

import (
	"bufio"
	"bytes"
	"flag"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

var speed = flag.Bool("speed", false, "explain 1 GB of capture, 100,000 connections at once and 1,000,000 resets, and print time and memory; takes a minute and 1 GB of disk")

// generated is a capture of connections with 7 packets each: handshake, request, answer in two segments, and the server's reset.
type generated struct {
	connections int
	atOnce      int // as many are open at a time
	segment     int // bytes of each of the answer's segments
}

// write writes it in the classic format, with raw IP.
func (g generated) write(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<20)
	out.Write(pcapHead())
	answer := bytes.Repeat([]byte("x"), g.segment)
	clock := time.Duration(0)
	var b []byte
	n := uint32(g.segment)
	for first := 0; first < g.connections; first += g.atOnce {
		for _, p := range []struct {
			fromClient bool
			flags      byte
			seq, ack   uint32
			payload    []byte
		}{
			{true, 0x02, 100, 0, nil}, {false, 0x12, 500, 101, nil}, {true, 0x10, 101, 501, nil}, {true, 0x18, 101, 501, answer[:min(200, g.segment)]},
			{false, 0x10, 501, 101 + min(200, n), answer}, {false, 0x18, 501 + n, 101 + min(200, n), answer}, {false, 0x04, 501 + 2*n, 0, nil},
		} {
			for i := first; i < min(first+g.atOnce, g.connections); i++ {
				clock += 30 * time.Microsecond // 270 Mbit/s
				f := builtFrame{at: clock, src: generatedClient(i), dst: generatedServer, flags: p.flags, seq: p.seq, ack: p.ack, ttl: 64, payload: p.payload}
				if !p.fromClient {
					f.src, f.dst, f.ttl = f.dst, f.src, 57
				}
				b = f.appendPcap(b[:0])
				out.Write(b)
			}
		}
	}
	return out.Flush()
}

var generatedServer = netip.MustParseAddrPort("192.0.2.1:443")

func generatedClient(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 20), byte(n >> 12), byte(n >> 4)}), uint16(32768+n&15))
}

// TestExplainMuch runs the command on large captures and holds what the README says of its time and memory.
func TestExplainMuch(t *testing.T) {
	sizes := map[string]generated{"small": {connections: 2000, atOnce: 100, segment: 700}}
	if *speed {
		sizes = map[string]generated{
			"1 GB":                        {connections: 320_000, atOnce: 1000, segment: 1400},
			"100,000 connections at once": {connections: 100_000, atOnce: 100_000, segment: 100},
			"1,000,000 resets":            {connections: 1_000_000, atOnce: 1000, segment: 10},
		}
	}
	for name, g := range sizes {
		t.Run(name, func(t *testing.T) {
			path := writeGenerated(t, g)
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, flags := range [][]string{{"--format", "console"}, {"--format", "json"}, {"--format", "console", "--write-pcapng", os.DevNull}} {
				cmd := exec.Command("whyreset", append([]string{"explain", path}, flags...)...)
				var lines countLines
				cmd.Stdout, cmd.Stderr = &lines, os.Stderr
				start := time.Now()
				if err := cmd.Run(); err != nil {
					t.Fatal(err)
				}
				took := time.Since(start)
				usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
				t.Logf("%v: %d MB, %d connections in %.1f s: %.0f MB/s; %.1f s of processor; at most %d MB of memory; %d lines", flags, info.Size()/1e6,
					g.connections, took.Seconds(), float64(info.Size())/1e6/took.Seconds(), (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), usage.Maxrss>>10, lines)
				if flags[1] == "json" && int(lines) != g.connections {
					t.Errorf("got %d records, want %d", lines, g.connections)
				}
			}
		})
	}

}

func writeGenerated(t *testing.T, g generated) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "generated.pcap")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := g.write(file); err != nil {
		t.Fatal(err)
	}
	return path
}

type countLines int

func (n *countLines) Write(b []byte) (int, error) {
	*n += countLines(bytes.Count(b, []byte("\n")))
	return len(b), nil
}
