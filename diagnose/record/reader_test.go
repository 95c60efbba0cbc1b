package record

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestReader(t *testing.T) {
	for _, tt := range wrappings {
		t.Run(tt.name, func(t *testing.T) {
			records, text := lines()
			wrapped := tt.wrap(text)
			r := NewReader(strings.NewReader(wrapped))
			for _, want := range records {
				got, err := r.Next()
				if err != nil {
					t.Fatalf("%v, want a record; so far %+v\n%s", err, r.Counts(), wrapped)
				}
				if tt.changes {
					got.Time, got.By.Host, got.File = want.Time, want.By.Host, want.File
				}
				if line := Append(nil, got); !bytes.Equal(line, Append(nil, want)) {
					t.Errorf("the record has changed (-written +read):\n%s", cmp.Diff(string(Append(nil, want)), string(line)))
				}
			}
			if c, err := r.Next(); err != io.EOF {
				t.Errorf("got %v, %v; want the end", c, err)
			}
			if got, want := r.Counts(), (Counts{Records: 2, Others: 1, Foreign: uint64(1 + tt.extra)}); got != want {
				t.Errorf("got %+v, want %+v\n%s", got, want, wrapped)
			}
		})
	}
}

// What Parse is given alone may be wrapped in the same ways.
func TestParseUnwraps(t *testing.T) {
	for _, tt := range wrappings {
		if tt.document {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			_, text := lines()
			wrapped := tt.wrap(text[:1])
			if _, err := Parse([]byte(wrapped)); err != nil {
				t.Errorf("%v\n%s", err, wrapped)
			}
		})
	}
}

// A record that was cut off takes no other one with it, wherever the cut is.
func TestReaderCutOff(t *testing.T) {
	good := string(Append(nil, harmless()))
	whole := strings.TrimSpace(good)
	for _, tt := range []struct{ name, format string }{
		{"as written", "LINE"},
		{"Docker json-file", `{"log":ENDED,"stream":"stdout","time":"2026-11-24T09:30:13.250000001Z"}`},
		{"CRI", "2026-11-24T09:30:13.250000001Z stdout F LINE"},
		{"elasticdump", `{"_index":"i","_id":"x1","_source":LINE}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			line := each(tt.format, "")([]string{whole})
			for cut := range line {
				records, damaged, counts := errorsOf(t, strings.NewReader(line[:cut]+"\n"+good))
				want := 0
				if strings.Contains(line[:cut], "whyreset") {
					want = 1
				}
				if records != 1 || len(damaged) != want {
					t.Fatalf("cut at byte %d: got %d records, faults %q, %+v; want the one behind and %d faults\n%s", cut, records, damaged, counts, want, line[:cut])
				}
				if want == 1 && !strings.HasPrefix(damaged[0], "line 1 (byte ") {
					t.Fatalf("got %q, want line 1", damaged[0])
				}
			}
		})
	}
}

// A document that was cut off, as when a download broke, gives what it has, and says so.
func TestReaderDocumentCutOff(t *testing.T) {
	records, text := lines()
	for _, wrapping := range wrappings {
		if !wrapping.document {
			continue
		}
		t.Run(wrapping.name, func(t *testing.T) {
			document := wrapping.wrap(text)
			last := 0
			for cut := 0; cut < len(document); cut += 211 {
				found, damaged, counts := errorsOf(t, strings.NewReader(document[:cut]))
				if found < last || found > len(records) || len(damaged) > 1 {
					t.Fatalf("cut at byte %d: got %d records, faults %q, %+v; want no fewer than with less of it, and one fault at most", cut, found, damaged, counts)
				}
				last = found
			}
			if last == 0 {
				t.Errorf("got no record from a part of the document")
			}
		})
	}
}

func TestReaderDamage(t *testing.T) {
	good := strings.TrimSpace(string(Append(nil, harmless())))
	long := strings.Repeat("x", maxText)
	for _, tt := range []struct {
		name, in string
		records  int
		damage   string // of the first one; empty: none
		counts   Counts
	}{
		{"nothing", "", 0, "", Counts{}},
		{"blank lines", "\n \r\n\t\n", 0, "", Counts{}},
		{"a value that is none", "\n" + strings.Replace(good, `"likely"`, `"certain"`, 1), 1, "", Counts{Records: 1}},
		{"a field of another kind", "x\n" + strings.Replace(good, `"possible"`, `"certain"`, 1) + "\n" + good, 1,
			`line 2 (byte 2): record 01JDF5Z0KT8V5Q2M7C9XGZ4R3F: whyreset.verdict: confidence is "certain"`, Counts{Records: 1, Foreign: 1, Damaged: 1}},
		{"journalctl without --all", `{"_SYSTEMD_UNIT":"whyreset.service","MESSAGE":null}` + "\n" + `{"_SYSTEMD_UNIT":"other.service","MESSAGE":null}` + "\n" + good, 1,
			"line 1 (byte 0): journalctl has left out the message, which is longer than 4096 bytes; give it --all", Counts{Records: 1, Foreign: 1, Damaged: 1}},
		{"a long line", long + long + "\n" + good, 1, "", Counts{Records: 1, Foreign: 1}},
		{"a long object", `{"log":"` + long + `","n":[1,2]}` + "\n" + good, 1, "", Counts{Records: 1, Foreign: 1}},
		{"a long text in a document", `[["1","` + long + `"],["2",` + quote(good) + `]]`, 1, "", Counts{Records: 1, Foreign: 1}},
		{"a long record", `{"@timestamp":"whyreset` + long + `"}` + "\n" + good, 1, "line 1 (byte 0): longer than 1048576 bytes", Counts{Records: 1, Damaged: 1}},
		{"too deep", strings.Repeat("[", 1000) + "\n" + good, 1, "", Counts{Records: 1, Foreign: 1}},
		{"too deep in a value", `{"a":` + strings.Repeat(`{"a":`, 1000) + "\n" + good, 1, "", Counts{Records: 1, Foreign: 1}},
		{"brackets that do not match", `{"a":[1,2}` + "\n" + good, 1, "", Counts{Records: 1, Foreign: 1}},
		{"Go and Python", "map[a:1]\n{'a': 1}\n[INFO] x\n[2026-11-24] y\n{a=1}\n" + good, 1, "", Counts{Records: 1, Foreign: 5}},
		{"two in a line", good + good + " " + good, 3, "", Counts{Records: 3}},
		{"text behind it", good + " and so on\n", 1, "", Counts{Records: 1, Foreign: 1}},
		{"our name only", "whyreset started\n" + `{"msg":"whyreset"}` + "\n" + `{"event":{"dataset":"whyreset.connection"}}`, 0, "", Counts{Foreign: 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			records, damaged, counts := errorsOf(t, strings.NewReader(tt.in))
			if records != tt.records || counts != tt.counts {
				t.Errorf("got %d records, %+v, faults %.200q; want %d, %+v", records, counts, damaged, tt.records, tt.counts)
			}
			if got := strings.Join(damaged, "\n"); !strings.HasPrefix(got, tt.damage) || (tt.damage == "") != (got == "") {
				t.Errorf("got faults %.500q, want %q", got, tt.damage)
			}
		})
	}
}

// What is read in small pieces is found all the same, and an error of the input is told.
func TestReaderInPieces(t *testing.T) {
	for _, tt := range wrappings {
		t.Run(tt.name, func(t *testing.T) {
			_, text := lines()
			wrapped := tt.wrap(text)
			wantRecords, _, want := errorsOf(t, strings.NewReader(wrapped))
			gotRecords, _, got := errorsOf(t, iotest.OneByteReader(strings.NewReader(wrapped)))
			if gotRecords != wantRecords || got != want {
				t.Errorf("got %d records, %+v; want %d, %+v", gotRecords, got, wantRecords, want)
			}
		})
	}
	t.Run("error", func(t *testing.T) {
		r := NewReader(io.MultiReader(strings.NewReader(string(Append(nil, harmless()))), iotest.ErrReader(io.ErrClosedPipe)))
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Next(); err != io.ErrClosedPipe {
			t.Errorf("got error %v, want %v", err, io.ErrClosedPipe)
		}
	})
}

// endless repeats a part for so many bytes.
type endless struct {
	part string
	at   int
	left int64
}

func (e *endless) Read(p []byte) (n int, err error) {
	for n < len(p) && e.left > 0 {
		c := copy(p[n:], e.part[e.at:])
		e.at = (e.at + c) % len(e.part)
		n, e.left = n+c, e.left-int64(c)
	}
	if e.left <= 0 {
		err = io.EOF
	}
	return n, err
}

// A document may be of any length: what is held of it is not.
func TestReaderMemory(t *testing.T) {
	_, text := lines()
	entry := each(`["1732440613250000000",QUOTED],`, "")(text[:1])
	const entries = 2000
	for _, tt := range []struct {
		name          string
		before, after string
		part          string
		records       int
	}{
		{"a long answer", lokiBefore, lokiAfter, entry, entries},
		{"a text without end", `{"a":"`, `"}`, "0123456789abcde ", 0},
		{"a line without end", "", "", "0123456789abcde ", 0},
		{"an array without end", `{"a":[`, `1]}`, "1,[1],\"\",", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := &endless{part: tt.part, left: int64(len(tt.part) * entries)}
			if tt.records == 0 {
				in.left = 6 * maxText
			}
			in.left -= in.left % int64(len(tt.part))
			r := NewReader(io.MultiReader(strings.NewReader(tt.before), in, strings.NewReader(`["2","x"]`[:9*min(1, tt.records)]+tt.after)))
			records := 0
			for {
				_, err := r.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				records++
			}
			if records != tt.records {
				t.Errorf("got %d records, want %d", records, tt.records)
			}
			if held := cap(r.text) + cap(r.buffer) + cap(r.nest) + 64*cap(r.open); held > 3*maxText {
				t.Errorf("%d bytes are held, want no more than %d", held, 3*maxText)
			}
		})
	}
}

// Whatever is read, nothing of ours that stands behind it gets lost in silence, and how it comes in does not matter.
func FuzzReader(f *testing.F) {
	good := "\n" + string(Append(nil, harmless()))
	// Small ones: the fuzzer makes each that it finds of interest as small as it can, which takes it long.
	text := []string{`{"@timestamp":"2026-11-24T09:30:13.250000000Z","event":{"dataset":"whyreset.connection"},"whyreset":{"verdict":{"cause":"x"}}}`, "x"}
	for _, tt := range wrappings {
		f.Add([]byte(tt.wrap(text)))
	}
	for _, seed := range []string{`{"a":[1,2}`, `[[[`, `{"data":{"result":[{`, `{"hits":`, "[pod/x] {", `"\`, `{"log":"{\"@timestamp\":\"`, `{"a":{"whyreset.verdict.cause":["x"]}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		read := func(in io.Reader) (last string, counts Counts) {
			r := NewReader(in)
			for {
				c, err := r.Next()
				var damage *DamageError
				switch {
				case err == nil:
					line := Append(nil, c)
					if f := faults(line, InEnd); f != nil {
						t.Fatalf("%q\n%s", f, line)
					}
					last = c.ID
				case err == io.EOF:
					return last, r.Counts()
				case !errors.As(err, &damage):
					t.Fatal(err)
				}
			}
		}
		last, counts := read(bytes.NewReader(append(bytes.Clone(data), good...)))
		if last != harmless().ID && counts.Damaged == 0 {
			t.Fatalf("the record behind it was not found, and nothing was told: %+v", counts)
		}
		if _, pieces := read(iotest.HalfReader(bytes.NewReader(append(bytes.Clone(data), good...)))); pieces != counts {
			t.Fatalf("got %+v in pieces, %+v as a whole", pieces, counts)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	_, text := lines()
	inputs := map[string]string{"another program's": strings.Repeat(
		`{"time":"2026-11-24T09:30:13Z","level":"info","request":{"method":"GET","path":"/","status":200,"bytes":4711},"tags":["a","b"],"msg":"served"}`+"\n", 2000)}
	for _, tt := range wrappings {
		inputs[tt.name] = tt.wrap(slices.Repeat(text, 50))
	}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		wrapped := inputs[name]
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(wrapped)))
			b.ReportAllocs()
			for b.Loop() {
				for r := NewReader(strings.NewReader(wrapped)); ; {
					if _, err := r.Next(); err != nil {
						break
					}
				}
			}
		})
	}
}

// errorsOf reads everything and gives what was found.
func errorsOf(t *testing.T, in io.Reader) (records int, damaged []string, counts Counts) {
	t.Helper()
	r := NewReader(in)
	for {
		_, err := r.Next()
		var damage *DamageError
		switch {
		case err == nil:
			records++
		case errors.As(err, &damage):
			damaged = append(damaged, err.Error())
		case err == io.EOF:
			return records, damaged, r.Counts()
		default:
			t.Fatal(err)
		}
	}
}
