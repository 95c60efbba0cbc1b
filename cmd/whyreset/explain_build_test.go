package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"whyreset/diagnose/replay"
)

// builtFrame is a segment of a capture that a test makes.
type builtFrame struct {
	at       time.Duration
	src, dst netip.AddrPort
	flags    byte
	seq, ack uint32
	ttl      byte
	payload  []byte
}

const (
	rawIP      = 101 // LINKTYPE_RAW
	builtStart = 1_790_000_000
)

// bytes is the segment in an IPv4 packet, without checksums, which nobody looks at.
func (f *builtFrame) bytes() []byte {
	be := binary.BigEndian
	b := make([]byte, 40, 40+len(f.payload))
	b[0], b[8], b[9] = 0x45, f.ttl, 6
	be.PutUint16(b[2:], uint16(40+len(f.payload)))
	be.PutUint16(b[4:], uint16(f.at.Microseconds()))
	src, dst := f.src.Addr().As4(), f.dst.Addr().As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	be.PutUint16(b[20:], f.src.Port())
	be.PutUint16(b[22:], f.dst.Port())
	be.PutUint32(b[24:], f.seq)
	be.PutUint32(b[28:], f.ack)
	b[32], b[33] = 0x50, f.flags
	be.PutUint16(b[34:], 512)
	return append(b, f.payload...)
}

// pcapHead begins a capture in the classic format.
func pcapHead() []byte {
	le := binary.LittleEndian
	b := append(le.AppendUint32(nil, 0xa1b2c3d4), 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	return le.AppendUint32(le.AppendUint32(b, 1<<16), rawIP)
}

// appendPcap appends the frame to such a capture.
func (f *builtFrame) appendPcap(b []byte) []byte {
	le := binary.LittleEndian
	frame := f.bytes()
	at := builtStart*1_000_000 + uint64(f.at.Microseconds())
	b = le.AppendUint32(le.AppendUint32(b, uint32(at/1e6)), uint32(at%1e6))
	return append(le.AppendUint32(le.AppendUint32(b, uint32(len(frame))), uint32(len(frame))), frame...)
}

// makeCapture is a command for sessions: capture FILE SCRIPT makes a capture of a script, whose lines are
//
//	ends CLIENT SERVER
//	SECONDS c|s FLAGS SEQ ACK LENGTH TTL
//
// The file is in pcapng if its name ends so.
func makeCapture(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: capture FILE SCRIPT")
	}
	frames, err := readCaptureScript(ts.ReadFile(args[1]))
	ts.Check(err)
	file, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	if strings.HasSuffix(args[0], "ng") {
		w := replay.NewWriter(file)
		for i := range frames {
			b := frames[i].bytes()
			ts.Check(w.Write(&replay.Frame{At: time.Unix(builtStart, 0).Add(frames[i].at), Link: rawIP, Wire: len(b), Data: b}))
		}
		ts.Check(w.Flush())
	} else {
		b := pcapHead()
		for i := range frames {
			b = frames[i].appendPcap(b)
		}
		_, err = file.Write(b)
		ts.Check(err)
	}
	ts.Check(file.Close())
}

func readCaptureScript(script string) (frames []builtFrame, err error) {
	client, server := netip.MustParseAddrPort("10.0.0.7:51234"), netip.MustParseAddrPort("10.0.0.5:5432")
	lines := bufio.NewScanner(strings.NewReader(script))
	for lines.Scan() {
		line := lines.Text()
		if after, ok := strings.CutPrefix(line, "ends "); ok {
			c, s, _ := strings.Cut(after, " ")
			client, server = netip.MustParseAddrPort(c), netip.MustParseAddrPort(s)
			continue
		}
		f := builtFrame{src: client, dst: server}
		var seconds float64
		var who, flags string
		var length int
		if _, err := fmt.Sscan(line, &seconds, &who, &flags, &f.seq, &f.ack, &length, &f.ttl); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		if who == "s" {
			f.src, f.dst = f.dst, f.src
		}
		for i, letter := range "FSRPAUEC" {
			if strings.ContainsRune(flags, letter) {
				f.flags |= 1 << i
			}
		}
		f.at, f.payload = time.Duration(seconds*1e9), make([]byte, length)
		frames = append(frames, f)
	}
	return frames, nil
}
