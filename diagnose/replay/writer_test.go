package replay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWriter(t *testing.T) {
	frames := []Frame{
		{Number: 1, At: start, Link: linkRaw, Wire: 40, Data: unhex(ipv4RST)},
		{Number: 2, At: start.Add(time.Nanosecond), Link: linkEthernet, Wire: 1500, Data: []byte("cut after 21 bytes...")},
		{Number: 3, Link: linkRaw, Wire: 60, Data: unhex(ipv6RST)},
		{Number: 4, At: start.Add(time.Hour), Link: linkEthernet, Wire: 0, Data: []byte{}},
	}
	comments := [][]string{{"port_closed: nothing listens at 198.51.100.2:443"}, {"one", "", "two – with a dash"}, nil, {strings.Repeat("é", 1<<15)}}
	var file bytes.Buffer
	w := NewWriter(&file)
	for i := range frames {
		if err := w.Write(&frames[i], comments[i]...); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}

	r, err := NewReader(bytes.NewReader(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	got, err := read(t, r)
	if err != io.EOF {
		t.Fatalf("got %v, want io.EOF", err)
	}
	frames[2].At = time.Unix(0, 0) // how a time that is not known is written
	if diff := cmp.Diff(frames, got, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }), cmp.Comparer(bytes.Equal)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	want := [][]string{{"port_closed: nothing listens at 198.51.100.2:443"}, {"one", "two – with a dash"}, nil, {strings.Repeat("é", 1<<15-1)}}
	if diff := cmp.Diff(want, commentsOf(t, file.Bytes())); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// commentsOf reads the comments of each packet, by the words of the format: Reader passes over them.
func commentsOf(t *testing.T, file []byte) (all [][]string) {
	t.Helper()
	le := binary.LittleEndian
	for len(file) >= 12 {
		kind, length := le.Uint32(file), le.Uint32(file[4:])
		if kind == enhancedPacket {
			var comments []string
			padded := (le.Uint32(file[20:]) + 3) &^ 3
			for b := file[28+padded : length-4]; len(b) >= 4 && le.Uint16(b) != 0; {
				size := int(le.Uint16(b[2:]))
				if le.Uint16(b) != 1 {
					t.Errorf("got option %d, want comments only", le.Uint16(b))
				}
				comments = append(comments, string(b[4:4+size]))
				b = b[4+(size+3)&^3:]
			}
			all = append(all, comments)
		}
		file = file[length:]
	}
	return all
}

func TestWriterTellsOfErrors(t *testing.T) {
	w := NewWriter(full{})
	f := Frame{At: start, Link: linkRaw, Data: make([]byte, readSize)}
	if err := w.Write(&f); err != io.ErrShortWrite {
		t.Errorf("got %v from Write, want that of the file", err)
	}
	if err := w.Flush(); err != io.ErrShortWrite {
		t.Errorf("got %v from Flush, want that of the file", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestExtract(t *testing.T) {
	var frames [][]byte
	for _, line := range []string{
		"c S 100 0 0 64", "s RA 0 101 0 57", // refused
		"192.0.2.9:1>198.51.100.2:443 R 5 0 0 64", // another
		"c S 900 0 0 64", "s SA 500 901 0 57", "c A 901 501 0 64", "s FA 501 901 0 57", // the same ends again
	} {
		frames = append(frames, segment(t, line))
	}
	// The router's answer to the last connection's SYN comes at the very end.
	frames = append(frames, append(unhex(`45000038 00000000 40010000 0a000001 c0000201 030d0000 00000000`), frames[3][:28]...))
	file := plainPcap(linkRaw, frames...)

	var all []*Connection
	tracker := NewTracker(func(c *Connection) { all = append(all, c) })
	r, err := NewReader(bytes.NewReader(file))
	for err == nil {
		var f Frame
		if f, err = r.Next(); err == nil {
			tracker.Add(&f)
		}
	}
	tracker.Flush()
	if err != io.EOF || len(all) != 3 {
		t.Fatalf("got %d connections, %v; want 3", len(all), err)
	}

	for name, c := range map[string]struct {
		frames   []int // of the capture, counted from 1
		comments [][]string
		choose   func(*Connection) bool
	}{
		"none":    {nil, nil, func(*Connection) bool { return false }},
		"refused": {[]int{1, 2}, [][]string{nil, {"1"}}, func(c *Connection) bool { return c.FirstFrame == 1 }},
		"reused":  {[]int{4, 5, 6, 7, 8}, [][]string{nil, nil, nil, {"4"}, nil}, func(c *Connection) bool { return c.FirstFrame == 4 }},
		"all": {[]int{1, 2, 3, 4, 5, 6, 7, 8}, [][]string{nil, {"1"}, {"3"}, nil, nil, nil, {"4"}, nil},
			func(*Connection) bool { return true }},
	} {
		t.Run(name, func(t *testing.T) {
			var selected Selection
			for _, one := range all {
				if c.choose(one) {
					selected.Add(one, fmt.Sprint(one.FirstFrame))
				}
			}
			var out bytes.Buffer
			n, err := extract(bytes.NewReader(file), &out, &selected)
			if err != nil || n != len(c.frames) {
				t.Fatalf("got %d frames, %v; want %d", n, err, len(c.frames))
			}
			if diff := cmp.Diff(c.comments, commentsOf(t, out.Bytes())); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			r, err := NewReader(&out)
			if err != nil {
				t.Fatal(err)
			}
			got, err := read(t, r)
			if err != io.EOF || len(got) != len(c.frames) {
				t.Fatalf("got %d frames back, %v; want %d", len(got), err, len(c.frames))
			}
			for i, f := range got {
				if !bytes.Equal(f.Data, frames[c.frames[i]-1]) {
					t.Errorf("frame %d is not frame %d of the capture", i+1, c.frames[i])
				}
			}
		})
	}
}

// TestExtractAll holds that a public capture of which everything is wanted comes out whole.
func TestExtractAll(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(publicCaptures, "*.pcap*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("the public captures are not here: nothing in ", publicCaptures)
	}
	for _, path := range files {
		var selected Selection
		want := 0
		for _, c := range connectionsOf(t, path) {
			selected.Add(c, c.Client.String())
			want += c.Packets[Client] + c.Packets[Server] + len(slices.Compact(framesOf(c.ICMP)))
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := extract(file, io.Discard, &selected)
		file.Close()
		if got != want {
			t.Errorf("%s: got %d frames, %v; want %d", path, got, err, want)
		}
	}
}

// extract reads in from its beginning and writes what was selected to out.
func extract(in io.Reader, out io.Writer, selected *Selection) (frames int, err error) {
	r, err := NewReader(in)
	if err != nil {
		return 0, err
	}
	w := NewWriter(out)
	frames, err = Extract(r, w, selected)
	return frames, errors.Join(err, w.Flush())
}

func framesOf(errors []ICMP) (frames []int) {
	for _, e := range errors {
		frames = append(frames, e.Frame)
	}
	return frames
}

// TestTshark holds that Wireshark reads what is written as it is meant: number of frames, times, comments.
func TestTshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("Wireshark's reading of the files is not compared: ", err)
	}
	var selected Selection
	script := append(handshake[:3:3], "c PA 101 501 50 64", "s RA 501 151 0 57")
	var frames [][]byte
	for _, line := range script {
		frames = append(frames, segment(t, line))
	}
	const comment = "app_abort: server 198.51.100.2:443 cut it – likely"
	selected.Add(play(t, script...)[0], comment)
	path := filepath.Join(t.TempDir(), "out.pcapng")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := extract(bytes.NewReader(plainPcap(linkRaw, frames...)), out, &selected); err != nil {
		t.Fatal(err)
	}
	got, err := exec.Command("tshark", "-n", "-r", path, "-T", "fields", "-e", "frame.number", "-e", "frame.time_epoch", "-e", "frame.comment").Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	var want string
	for i := range frames {
		at, say := start.Add(time.Duration(i)*time.Second).Truncate(time.Microsecond), ""
		if i == 4 {
			say = comment
		}
		want += fmt.Sprintf("%d\t%d.%09d\t%s\n", i+1, at.Unix(), at.Nanosecond(), say)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
