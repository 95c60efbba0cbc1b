package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"whyreset/diagnose/evidence"
)

// entry is one field of a record as it was found.
type entry struct {
	name string
	many bool
	text string
}

// flatten decodes a record token by token, because a map would hide a key that stands there twice.
func flatten(line []byte) (found []entry, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var value func(name string, many bool) error
	value = func(name string, many bool) error {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case json.Delim:
			switch t {
			case '{':
				seen := map[string]bool{}
				for d.More() {
					key, err := d.Token()
					if err != nil {
						return err
					}
					k := key.(string)
					if seen[k] {
						return fmt.Errorf("two keys %q in %q", k, name)
					}
					seen[k] = true
					if err := value(strings.TrimPrefix(name+"."+k, "."), false); err != nil {
						return err
					}
				}
			case '[':
				for d.More() {
					if err := value(name, true); err != nil {
						return err
					}
				}
			}
			_, err = d.Token()
			return err
		case string:
			found = append(found, entry{name, many, t})
		case json.Number:
			found = append(found, entry{name, many, t.String()})
		case bool:
			found = append(found, entry{name, many, fmt.Sprint(t)})
		default:
			return fmt.Errorf("%s is %v", name, t)
		}
		return nil
	}
	if err := value("", false); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("something follows the record")
	}
	return found, nil
}

// faults says what in a record of that kind breaks the contract.
func faults(line []byte, kind Kinds) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if !utf8.Valid(line) {
		fault("not UTF-8")
	}
	if len(line) > MaxSize {
		fault("%d bytes, want at most %d", len(line), MaxSize)
	}
	if bytes.IndexByte(line, '\n') != len(line)-1 {
		fault("not one line")
	}
	if !bytes.HasPrefix(line, []byte(`{"@timestamp":"`)) {
		fault("does not begin with the time")
	}
	found, err := flatten(line)
	if err != nil {
		return append(faults, err.Error())
	}
	names, at := map[string]bool{}, 0
	for _, e := range found {
		i := slices.IndexFunc(Fields, func(f Field) bool { return f.Name == e.name })
		if i < 0 {
			fault("%s is not in Fields", e.name)
			continue
		}
		if i < at {
			fault("%s stands after %s, in Fields before it", e.name, Fields[at].Name)
		}
		at = i
		f := &Fields[i]
		if names[e.name] && !e.many {
			fault("%s stands there twice", e.name)
		}
		names[e.name] = true
		if f.In&kind == 0 {
			fault("%s is not for this kind of record", e.name)
		}
		if f.Many != e.many {
			fault("%s: array %v, want %v", e.name, e.many, f.Many)
		}
		if err := typeFault(f, e.text); err != nil {
			fault("%s is %q: %v", e.name, e.text, err)
		}
	}
	for i := range Fields {
		if f := &Fields[i]; f.In&kind != 0 && f.Always && !names[f.Name] {
			fault("%s is missing", f.Name)
		}
	}
	return faults
}

func typeFault(f *Field, text string) error {
	switch f.Type {
	case Date:
		if t, err := time.Parse(timeLayout, text); err != nil || t.UTC().Format(timeLayout) != text {
			return fmt.Errorf("want a time of fixed width: %w", err)
		}
	case Long:
		if n, err := json.Number(text).Int64(); err != nil || n > maxInteger || n < 0 && !f.Signed {
			return fmt.Errorf("want an integer that all readers take")
		}
	case IP:
		if a, err := netip.ParseAddr(text); err != nil || a.Zone() != "" {
			return fmt.Errorf("want an address")
		}
	case Boolean:
		if text != "true" && text != "false" {
			return fmt.Errorf("want a boolean")
		}
	case Keyword:
		if limit := 1024; len([]rune(text)) >= limit && f.Name != "whyreset.samples" && f.Name != "whyreset.events" && f.Name != "whyreset.packets" {
			return fmt.Errorf("want fewer than %d characters", limit)
		}
	case Text:
	default:
		return fmt.Errorf("unknown type %q", f.Type)
	}
	return nil
}

func check(t *testing.T, line []byte, kind Kinds) {
	t.Helper()
	for _, f := range faults(line, kind) {
		t.Errorf("%s\n%s", f, line)
	}
}

func TestRecords(t *testing.T) {
	var all []byte
	seen := map[Kinds]map[string]bool{InEnd: {}, InStart: {}, InNotice: {}}
	add := func(line []byte, kind Kinds) {
		t.Helper()
		check(t, line, kind)
		found, _ := flatten(line)
		for _, e := range found {
			seen[kind][e.name] = true
		}
		all = append(all, line...)
	}
	cut := anExample()
	cut.Evidence.Client = netip.AddrPort{} // not the legs' evidence
	for _, c := range []*Connection{anExample(), harmless(), refused(), cut, captured(), witnessed()} {
		add(Append(nil, c), InEnd)
	}
	add(AppendStart(nil, anExample()), InStart)
	for _, n := range notices() {
		add(n.Append(nil), InNotice)
	}
	golden(t, "testdata/records.jsonl", all)
	for i := range Fields {
		for kind, names := range seen {
			if f := &Fields[i]; f.In&kind != 0 && !names[f.Name] {
				t.Errorf("Fields has %s for records of kind %d, which none of the examples has", f.Name, kind)
			}
		}
	}
}

func TestLevels(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    *Connection
		want string
	}{
		{"harmful", anExample(), `"log.level":"warn"`},
		{"harmless", harmless(), `"log.level":"info"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if line := Append(nil, tt.c); !bytes.Contains(line, []byte(tt.want)) {
				t.Errorf("got %s, want %s in it", line, tt.want)
			}
		})
	}
}

// The check itself must notice what it is there for.
func TestCheckNotices(t *testing.T) {
	good := string(Append(nil, anExample()))
	if f := faults([]byte(good), InEnd); f != nil {
		t.Fatalf("got faults %q in a good record", f)
	}
	for _, tt := range []struct{ name, old, new, want string }{
		{"two keys", `"side":`, `"cause":"x","side":`, "two keys"},
		{"unknown field", `"side":`, `"sight":`, "is not in Fields"},
		{"missing field", `"side":"upstream",`, ``, "is missing"},
		{"large number", `"sequence":4711`, `"sequence":9007199254740992`, "all readers take"},
		{"null", `"side":"upstream"`, `"side":null`, "is <nil>"},
		{"short time", `250000000Z"`, `25Z"`, "fixed width"},
		{"wrong order", `"side":"upstream","origin":"application"`, `"origin":"application","side":"upstream"`, "in Fields before it"},
		{"array", `"side":"upstream"`, `"side":["upstream"]`, "array true"},
		{"two lines", `"side":`, "\n\"side\":", "not one line"},
		{"no UTF-8", `"upstream"`, "\"\xff\"", "not UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := strings.Replace(good, tt.old, tt.new, 1)
			if bad == good {
				t.Fatalf("the example has no %s", tt.old)
			}
			if f := faults([]byte(bad), InEnd); !slices.ContainsFunc(f, func(s string) bool { return strings.Contains(s, tt.want) }) {
				t.Errorf("got faults %q, want one with %q", f, tt.want)
			}
		})
	}
}

func TestExtremes(t *testing.T) {
	hostile := "\x00\x1b[31m\u202e\xff\"\\" + strings.Repeat("\x01é", 3000)
	many := slices.Repeat([]string{hostile}, 100)
	for _, tt := range []struct {
		name string
		edit func(*Connection)
		cut  bool
	}{
		{"nothing but the client", func(c *Connection) { *c = Connection{Downstream: c.Downstream, Verdict: c.Verdict} }, true},
		{"no end of numbers", func(c *Connection) {
			c.Sequence, c.Duration, c.Verdict.Idle = math.MaxUint64, math.MaxInt64, math.MaxInt64
			c.Evidence.Observations = []evidence.Observation{
				{Leg: 1, What: evidence.Transfer{In: math.MaxUint64, Out: math.MaxUint64}}, {Leg: 2, What: evidence.Transfer{In: math.MaxUint64}}}
		}, false},
		{"hostile words", func(c *Connection) {
			c.Listener, c.Target, c.ID, c.By.Host, c.By.Version = hostile, hostile, hostile, hostile, hostile
			v := &c.Verdict
			v.Sentence, v.Cause, v.Advice, v.Timers, v.Missing, v.Alternatives = hostile, hostile, many, many, many, many
			for range 100 {
				v.For = append(v.For, v.For[0])
				v.For[len(v.For)-1].Says = hostile
			}
			v.Against = v.For
		}, false}, // text goes first
		{"hostile words and much to tell", func(c *Connection) {
			v := &c.Verdict
			v.Sentence, v.Advice, v.Timers, v.Missing, v.Alternatives = hostile, many, many, many, many
			for range 150 {
				c.Evidence.Observations = append(c.Evidence.Observations, c.Evidence.Observations[len(c.Evidence.Observations)-2])
			}
		}, true},
		{"hostile coverage", func(c *Connection) { c.Evidence.Coverage.Packets = hostile }, true},
		{"an endless story", func(c *Connection) {
			for range 2000 {
				c.Evidence.Observations = append(c.Evidence.Observations, c.Evidence.Observations[len(c.Evidence.Observations)-1])
			}
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := anExample()
			tt.edit(c)
			line := Append(nil, c)
			check(t, line, InEnd)
			got, err := Parse(line)
			if err != nil {
				t.Fatal(err)
			}
			if (got.Evidence == nil) != tt.cut {
				t.Errorf("got evidence %v, want cut %v", got.Evidence, tt.cut)
			}
			n := Notice{Level: Error, Code: Stopped, Message: hostile, Error: hostile, Listener: hostile, Count: math.MaxUint64}
			check(t, n.Append(nil), InNotice)
			check(t, AppendStart(nil, c), InStart)
		})
	}
}

// As many packets as a capture's evidence ever has are carried whole; of more, the first ones and the last ones are shown.
func TestManyPackets(t *testing.T) {
	const kept = 70 // a little more than package replay keeps
	for _, n := range []int{kept, 500, 5000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			c := captured()
			c.Evidence.Observations = onTheWire()[:1]
			for i := range n {
				p := evidence.Packet{From: evidence.Downstream, To: evidence.Upstream, Flags: evidence.ACK | evidence.PSH, Seq: 3_000_000_000 + uint32(i), Ack: 4_000_000_000,
					Payload: 1448, Window: 64240, Scale: 7, TTL: 64, DF: true, ID: 30000 + uint16(i), HasTimestamp: true, TSVal: 3_000_000_000, TSEcr: 2_000_000_000,
					WindowScale: evidence.NoScale, Segments: 1, Frame: 1_000_000 + uint64(i)}
				c.Evidence.Observations = append(c.Evidence.Observations, evidence.Observation{At: time.Duration(i+1) * 1_234_567, What: p})
			}
			line := Append(nil, c)
			check(t, line, InEnd)
			got, err := Parse(line)
			if err != nil {
				t.Fatal(err)
			}
			if whole := got.Evidence != nil; whole != (n == kept) {
				t.Errorf("got the evidence whole %v in %d bytes, want %v", whole, len(line), n == kept)
			}
			for _, frame := range []int{0, 5, n - 10, n - 1} {
				if want := fmt.Sprintf("frame=%d,", 1_000_000+frame); !bytes.Contains(line, []byte(want)) {
					t.Errorf("want packet %d of %d in it\n%s", frame, n, line)
				}
			}
			if n > kept {
				shown := bytes.Count(line, []byte("(frame="))
				if want := fmt.Sprintf(" …%d… ", n-shown); !bytes.Contains(line, []byte(want)) {
					t.Errorf("got %d of %d packets, want %q between them\n%s", shown, n, want, line)
				}
			}
		})
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	one := Append(nil, anExample())
	two := Append(slices.Clone(one), harmless())
	if !bytes.HasPrefix(two, one) || !bytes.Equal(two[len(one):], Append(nil, harmless())) {
		t.Errorf("got %s, want both records one after the other", two)
	}
}

// poolsLeak is true under the race detector, which lets sync.Pool forget things at random.
var poolsLeak bool

// Each record of a busy proxy is made this way; a change that allocates more should be meant.
func TestAllocations(t *testing.T) {
	c, dst := anExample(), make([]byte, 0, MaxSize)
	limit := 6.0
	if poolsLeak {
		limit = 60
	}
	if got := testing.AllocsPerRun(200, func() { Append(dst, c) }); got > limit {
		t.Errorf("got %v allocations a record, want at most %v", got, limit)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, bm := range []struct {
		name string
		c    *Connection
	}{{"harmful", anExample()}, {"harmless", harmless()}, {"watched", witnessed()}, {"captured", captured()}} {
		b.Run(bm.name, func(b *testing.B) {
			dst := make([]byte, 0, MaxSize)
			b.ReportAllocs()
			for b.Loop() {
				dst = Append(dst[:0], bm.c)
			}
			b.ReportMetric(float64(len(dst)), "B/record")
		})
	}
}

func TestLine(t *testing.T) {
	for _, tt := range []struct {
		name             string
		c                *Connection
		client, upstream string
		received, sent   uint64
	}{
		{"everything", anExample(), "10.0.0.7:51234", "10.0.0.5:5432", 61_440, 19},
		{"never dialled", &Connection{Target: "db:5432"}, "?", "db:5432", 0, 0},
		{"dialled in vain", &Connection{Target: "db:5432", Destination: db}, "?", "10.0.0.5:5432", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.c.Line()
			if got.Client != tt.client || got.Upstream != tt.upstream || got.Received != tt.received || got.Sent != tt.sent {
				t.Errorf("got %+v, want %+v", got, tt)
			}
			if end := tt.c.Start.Add(tt.c.Duration); !got.Time.Equal(end) || got.Duration != tt.c.Duration {
				t.Errorf("got the end at %v after %v, want %v after %v", got.Time, got.Duration, end, tt.c.Duration)
			}
		})
	}
}
