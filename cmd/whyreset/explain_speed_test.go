package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"flag"
	"io"
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

func (g generated) frames() int { return 7 * g.connections }

// write writes it in the classic format, with raw IP.
func (g generated) write(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<20)
	le := binary.LittleEndian
	head := le.AppendUint32(nil, 0xa1b2c3d4)
	head = append(head, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	head = le.AppendUint32(le.AppendUint32(head, 1<<16), 101)
	out.Write(head)
	answer := bytes.Repeat([]byte("x"), g.segment)
	clock := int64(1_700_000_000_000_000)
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
				clock += 30
				frame := rawSegment(uint32(i), p.fromClient, p.flags, p.seq, p.ack, p.payload)
				record := le.AppendUint32(nil, uint32(clock/1e6))
				record = le.AppendUint32(record, uint32(clock%1e6))
				record = le.AppendUint32(le.AppendUint32(record, uint32(len(frame))), uint32(len(frame)))
				out.Write(record)
				out.Write(frame)
			}
		}
	}
	return out.Flush()
}

// rawSegment is an IPv4 packet between 10.x.x.x and 192.0.2.1:443.
func rawSegment(client uint32, fromClient bool, flags byte, seq, ack uint32, payload []byte) []byte {
	be := binary.BigEndian
	b := make([]byte, 40, 40+len(payload))
	b[0], b[8], b[9] = 0x45, 64, 6
	be.PutUint16(b[2:], uint16(40+len(payload)))
	be.PutUint16(b[4:], uint16(seq))
	src, dst, sport, dport := 10<<24|client>>4, uint32(0xc0000201), uint16(32768+client&15), uint16(443)
	if !fromClient {
		src, dst, sport, dport, b[8] = dst, src, dport, sport, 57
	}
	be.PutUint32(b[12:], src)
	be.PutUint32(b[16:], dst)
	be.PutUint16(b[20:], sport)
	be.PutUint16(b[22:], dport)
	be.PutUint32(b[24:], seq)
	be.PutUint32(b[28:], ack)
	b[32], b[33] = 0x50, flags
	be.PutUint16(b[34:], 512)
	return append(b, payload...)
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
			path := filepath.Join(t.TempDir(), "much.pcap")
			file, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := g.write(file); err != nil {
				t.Fatal(err)
			}
			info, err := file.Stat()
			if err != nil {
				t.Fatal(err)
			}
			file.Close()
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

type countLines int

func (n *countLines) Write(b []byte) (int, error) {
	*n += countLines(bytes.Count(b, []byte("\n")))
	return len(b), nil
}
