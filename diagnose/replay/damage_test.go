package replay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

var thorough = flag.Bool("thorough", false, "damage public captures in many more places; takes some 15 seconds")

// A capture that is cut or spoilt anywhere ends in an error that says where, or reads on; it never panics, and a cut one keeps every
// frame before the cut.
func TestDamage(t *testing.T) {
	le := binary.LittleEndian
	var frames [][]byte
	for _, line := range append(handshake[:3:3], "c PA 101 501 50 64", "s RA 501 151 0 57") {
		frames = append(frames, segment(t, line))
	}
	ng := join(ngSection(le), ngInterface(le, linkRaw, 9))
	for _, f := range frames {
		ng = append(ng, ngPacket(le, enhancedPacket, 0, 7, len(f), f)...)
	}
	captures := map[string][]byte{"pcap": plainPcap(linkRaw, frames...), "pcapng": ng, "gzip": gzipped(t, ng)}
	for name, file := range captures {
		t.Run(name, func(t *testing.T) { damage(t, file, 1, 500) })
	}
	t.Run("public captures", func(t *testing.T) {
		step, flips := 19937, 4
		if *thorough {
			step, flips = 100, 200
		}
		files, err := filepath.Glob(filepath.Join(publicCaptures, "*.pcap*"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			t.Skip("the public captures are not here: nothing in ", publicCaptures)
		}
		for _, path := range files {
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			damage(t, file[:min(len(file), 64<<10)], step, flips)
		}
	})
}

// damage cuts the capture at every step-th byte, and flips bytes at random a number of times.
func damage(t *testing.T, file []byte, step, flips int) {
	t.Helper()
	before := 0
	for n := 0; n < len(file); n += step {
		got := readDamaged(t, file[:n])
		if got < before {
			t.Errorf("got %d frames out of the first %d bytes, want %d as before or more", got, n, before)
		}
		before = got
	}
	random := rand.New(rand.NewPCG(1, 2)) // the same damage every time
	for range flips {
		spoilt := bytes.Clone(file)
		for range 1 + random.IntN(8) {
			spoilt[random.IntN(len(spoilt))] ^= byte(1 + random.IntN(255))
		}
		readDamaged(t, spoilt)
	}
}

func readDamaged(t *testing.T, file []byte) (frames int) {
	t.Helper()
	tracker := NewTracker(func(c *Connection) { c.Evidence() })
	defer tracker.Flush()
	r, err := NewReader(bytes.NewReader(file))
	for err == nil {
		var frame Frame
		if frame, err = r.Next(); err == nil {
			tracker.Add(&frame)
			frames++
		}
	}
	if err != io.EOF && !errors.Is(err, ErrNotCapture) && !errors.As(err, new(*FormatError)) {
		t.Errorf("got %v, want io.EOF, ErrNotCapture or a *FormatError", err)
	}
	return frames
}
