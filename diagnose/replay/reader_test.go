package replay

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

func TestPcap(t *testing.T) {
	one, two := unhex(ipv4RST), []byte("xyz")
	for name, c := range map[string]struct {
		order binary.AppendByteOrder
		magic uint32
		at    time.Time
	}{
		"little-endian microseconds":  {binary.LittleEndian, 0xa1b2c3d4, start.Truncate(time.Microsecond)},
		"big-endian microseconds":     {binary.BigEndian, 0xa1b2c3d4, start.Truncate(time.Microsecond)},
		"little-endian nanoseconds":   {binary.LittleEndian, 0xa1b23c4d, start},
		"big-endian nanoseconds":      {binary.BigEndian, 0xa1b23c4d, start},
		"little-endian, Kuznetzov's":  {binary.LittleEndian, 0xa1b2cd34, start.Truncate(time.Microsecond)},
		"gzip, big-endian nanosecond": {binary.BigEndian, 0xa1b23c4d, start},
	} {
		t.Run(name, func(t *testing.T) {
			file := writePcap(c.order, c.magic, linkRaw, one, two)
			if strings.HasPrefix(name, "gzip") {
				file = gzipped(t, file)
			}
			frames := readAll(t, file)
			if len(frames) != 2 {
				t.Fatalf("got %d frames, want 2", len(frames))
			}
			if f := frames[0]; f.Number != 1 || !f.At.Equal(c.at) || f.Link != linkRaw || !bytes.Equal(f.Data, one) || f.Wire != len(one) {
				t.Errorf("got first frame %+v", f)
			}
			if f := frames[1]; f.Number != 2 || !f.At.Equal(c.at.Add(time.Second)) || !bytes.Equal(f.Data, two) {
				t.Errorf("got second frame %+v", f)
			}
		})
	}
}

func TestPcapng(t *testing.T) {
	one, two := unhex(ipv4RST), []byte("xyz")
	nanoseconds := uint64(start.UnixNano())
	for name, order := range map[string]binary.AppendByteOrder{"little-endian": binary.LittleEndian, "big-endian": binary.BigEndian} {
		t.Run(name, func(t *testing.T) {
			frames := readAll(t, join(
				ngSection(order),
				ngInterface(order, linkEthernet, 0),
				ngInterface(order, linkRaw, 9),
				ngInterface(order, linkRaw, 0x80|10),
				ngBlock(order, 4, []byte("name")), // a block to pass over
				ngPacket(order, enhancedPacket, 1, nanoseconds, 100, one),
				ngPacket(order, enhancedPacket, 0, nanoseconds/1000, len(two), two),
				ngPacket(order, packetBlock, 2, uint64(start.Unix())<<10|512, len(two), two),
				ngBlock(order, simplePacket, append(order.AppendUint32(nil, 3), two...)),
				ngSection(order), // forgets the interfaces
				ngInterface(order, linkNull, 9),
				ngPacket(order, enhancedPacket, 0, nanoseconds, len(two), two),
			))
			want := []Frame{
				{1, start, linkRaw, 100, one},
				{2, start.Truncate(time.Microsecond), linkEthernet, 3, two},
				{3, time.Unix(start.Unix(), 5e8), linkRaw, 3, two},
				{4, time.Time{}, linkEthernet, 3, two},
				{5, start, linkNull, 3, two},
			}
			if len(frames) != len(want) {
				t.Fatalf("got %d frames, want %d", len(frames), len(want))
			}
			for i, f := range frames {
				w := want[i]
				if f.Number != w.Number || !f.At.Equal(w.At) || f.Link != w.Link || f.Wire != w.Wire || !bytes.Equal(f.Data, w.Data) {
					t.Errorf("got %+v, want %+v", f, w)
				}
			}
		})
	}
}

func TestCompressed(t *testing.T) {
	file := plainPcap(linkRaw, unhex(ipv4RST), unhex(ipv4RST))
	var z bytes.Buffer
	w, err := zstd.NewWriter(&z)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(file)
	w.Close()
	for name, packed := range map[string][]byte{"gzip": gzipped(t, file), "zstd": z.Bytes()} {
		t.Run(name, func(t *testing.T) {
			if got := len(readAll(t, packed)); got != 2 {
				t.Errorf("got %d frames, want 2", got)
			}
		})
		t.Run(name+" cut off", func(t *testing.T) {
			r, err := NewReader(bytes.NewReader(packed[:len(packed)-3]))
			if err != nil {
				return // a short capture may be lost as a whole
			}
			if _, err = read(t, r); !errors.As(err, new(*FormatError)) {
				t.Errorf("got %v, want a *FormatError", err)
			}
		})
	}
}

// What was read before the break still counts, and the error says where it is.
func TestBroken(t *testing.T) {
	le := binary.LittleEndian
	frame := unhex(ipv4RST)
	classic := plainPcap(linkRaw, frame)
	ng := join(ngSection(le), ngInterface(le, linkRaw, 0), ngPacket(le, enhancedPacket, 0, 0, len(frame), frame))
	with := func(b []byte, tail ...[]byte) []byte { return join(append([][]byte{b}, tail...)...) }
	length := func(b []byte, at int, n uint32) []byte {
		b = bytes.Clone(b)
		le.PutUint32(b[at:], n)
		return b
	}
	packet := ngPacket(le, enhancedPacket, 0, 0, len(frame), frame)
	for name, c := range map[string]struct {
		file   []byte
		frames int
		offset int
		says   string
	}{
		"a record's header cut off":      {with(classic, classic[24:30]), 1, len(classic), "header of frame 2: unexpected EOF"},
		"a record cut off":               {with(classic, classic[24:50]), 1, len(classic), "frame 2: unexpected EOF"},
		"a record too long":              {with(classic, length(classic[24:], 8, 1<<30)), 1, len(classic), "claims 1073741824 bytes"},
		"a block cut off":                {with(ng, packet[:30]), 1, len(ng), "unexpected EOF"},
		"a block's length no multiple":   {with(ng, length(packet, 4, 33)), 1, len(ng), "claims 33 bytes"},
		"a block's lengths differ":       {with(ng, length(packet, len(packet)-4, 32)), 1, len(ng), "32 at its end"},
		"an interface not described":     {with(ng, length(packet, 8, 7)), 1, len(ng), "of interface 7"},
		"a packet longer than its block": {with(ng, length(packet, 20, 1000)), 1, len(ng), "claims 1000 bytes"},
		"a section of no byte order":     {with(ng, length(ngSection(le), 8, 5)), 1, len(ng), "byte-order magic"},
		"a file header cut off":          {classic[:20], 0, 0, "file header"},
	} {
		t.Run(name, func(t *testing.T) {
			var frames []Frame
			r, err := NewReader(bytes.NewReader(c.file))
			if err == nil {
				frames, err = read(t, r)
			}
			var broken *FormatError
			if !errors.As(err, &broken) {
				t.Fatalf("got error %v, want a *FormatError", err)
			}
			if len(frames) != c.frames || broken.Offset != int64(c.offset) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %d frames, then %q at %d; want %d, then %q at %d", len(frames), err, broken.Offset, c.frames, c.says, c.offset)
			}
			if r != nil {
				if _, again := r.Next(); again != err {
					t.Errorf("got %v when asked again, want the same", again)
				}
			}
		})
	}
}

func TestNotCapture(t *testing.T) {
	for name, file := range map[string]string{"empty": "", "short": "ab", "text": "{\"@timestamp\":1}\n"} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewReader(strings.NewReader(file)); !errors.Is(err, ErrNotCapture) {
				t.Errorf("got %v, want %v", err, ErrNotCapture)
			}
		})
	}
}

func FuzzReader(f *testing.F) {
	le := binary.LittleEndian
	frame := unhex(ipv4RST)
	f.Add(plainPcap(linkRaw, frame))
	f.Add(writePcap(binary.BigEndian, 0xa1b23c4d, linkEthernet, frame))
	f.Add(join(ngSection(le), ngInterface(le, linkRaw, 9), ngPacket(le, enhancedPacket, 0, 7, 40, frame), ngPacket(le, packetBlock, 0, 7, 40, frame),
		ngBlock(le, simplePacket, append([]byte{40, 0, 0, 0}, frame...))))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := NewReader(bytes.NewReader(file))
		if err != nil {
			return
		}
		for n := 1; ; n++ {
			frame, err := r.Next()
			if err != nil {
				if err != io.EOF && !errors.As(err, new(*FormatError)) {
					t.Errorf("got %v, want io.EOF or a *FormatError", err)
				}
				return
			}
			if frame.Number != n || frame.Wire < len(frame.Data) {
				t.Errorf("got frame %d with %d of %d bytes after %d frames", frame.Number, len(frame.Data), frame.Wire, n-1)
			}
		}
	})
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(b)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return z.Bytes()
}

func readAll(t *testing.T, file []byte) []Frame {
	t.Helper()
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	frames, err := read(t, r)
	if err != io.EOF {
		t.Fatalf("got %v after %d frames, want io.EOF", err, len(frames))
	}
	return frames
}
