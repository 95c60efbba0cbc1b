package record

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"whyreset/diagnose/evidence"
)

var compare = []cmp.Option{
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmpopts.EquateEmpty(),
}

func TestParseReadsWhatAppendWrote(t *testing.T) {
	for name, c := range map[string]*Connection{"everything": anExample(), "harmless": harmless(), "refused": refused(), "captured": captured(), "witnessed": witnessed()} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(Append(nil, c))
			if err != nil {
				t.Fatal(err)
			}
			want := *c
			want.Time, want.Start = c.made().UTC(), c.Start.UTC()
			if diff := cmp.Diff(&want, got, compare...); diff != "" {
				t.Errorf("(-written +read):\n%s", diff)
			}
		})
	}
}

// Whatever may be observed, the record carries it whole: a later version sees what this one saw.
func TestEvidenceIsCarriedWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		c := anExample()
		c.Evidence = randomEvidence(r, c)
		line := Append(nil, c)
		if f := faults(line, InEnd); f != nil {
			t.Fatalf("%q\n%s", f, line)
		}
		got, err := Parse(line)
		if err != nil {
			t.Fatalf("%v\n%s", err, line)
		}
		if diff := cmp.Diff(c.Evidence, got.Evidence, compare...); diff != "" {
			t.Fatalf("(-written +read):\n%s\n%s", diff, line)
		}
	}
}

// What cannot be said in the record's words must not be read back as something else.
func TestEvidenceThatCannotBeCarried(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*Connection)
	}{
		{"a leg of nobody", func(c *Connection) { c.Evidence.Observations[1].Leg = 3 }},
		{"a socket of no leg", func(c *Connection) { c.Evidence.Observations[1].Leg = evidence.NoLeg }},
		{"nothing seen", func(c *Connection) { c.Evidence.Observations[1].What = evidence.Socket{} }},
		{"a call of another version", func(c *Connection) { c.Evidence.Observations[1].What = evidence.Socket{Call: 99, Saw: evidence.FIN} }},
		{"something else seen", func(c *Connection) { c.Evidence.Observations[1].What = evidence.Socket{Saw: 99} }},
		{"an error that is none", func(c *Connection) {
			c.Evidence.Observations[1].What = evidence.Socket{Saw: evidence.FIN, Errno: evidence.EPIPE}
		}},
		{"an action of another version", func(c *Connection) { c.Evidence.Observations[1].What = evidence.Action(99) }},
		{"no action", func(c *Connection) { c.Evidence.Observations[1].What = evidence.NoAction }},
		{"nothing at all", func(c *Connection) { c.Evidence.Observations[1].What = nil }},
		{"an interface's name that would be read otherwise", func(c *Connection) {
			c.Evidence.Observations[1].What = evidence.ICMP{From: netip.MustParseAddr("fe80::1%a,b")}
		}},
		{"a packet from a leg of nobody", func(c *Connection) { c.Evidence.Observations[1].What = evidence.Packet{From: 3} }},
		{"an account of a leg of nobody", func(c *Connection) { c.Evidence.Observations[1].What = evidence.Stream{To: 3} }},
		{"a baseline of a leg of nobody", func(c *Connection) { c.Evidence.Observations[1].What = evidence.Baseline{Of: 3} }},
		{"an ICMP error about a leg of nobody", func(c *Connection) { c.Evidence.Observations[1].What = evidence.ICMP{About: 3} }},
		{"a kernel's leg of nobody", func(c *Connection) { c.Evidence.Observations[1].What = evidence.Kernel{To: 3} }},
		{"back in time", func(c *Connection) { slices.Reverse(c.Evidence.Observations) }},
		{"another client", func(c *Connection) { c.Evidence.Client = db }},
		{"another server", func(c *Connection) { c.Evidence.Server = client }},
		{"another end of ours", func(c *Connection) { c.Evidence.OwnUp = client }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := anExample()
			tt.edit(c)
			line := Append(nil, c)
			check(t, line, InEnd)
			got, err := Parse(line)
			if err != nil || got.Evidence != nil {
				t.Errorf("got evidence %v, error %v; want none of both", got.Evidence, err)
			}
		})
	}
}

func randomEvidence(r *rand.Rand, c *Connection) *evidence.Evidence {
	ev := &evidence.Evidence{Client: c.Downstream.Remote, OwnDown: c.Downstream.Local, Server: c.Upstream.Remote, OwnUp: c.Upstream.Local,
		Coverage: evidence.Coverage{Sockets: evidence.Watched, Packets: pick(r, "", "off", evidence.Watched), Witness: pick(r, "not root", "läuft nicht")}}
	at := time.Duration(0)
	for range r.IntN(30) {
		if r.IntN(3) > 0 {
			at += time.Duration(r.Uint64() >> (24 + r.IntN(40)))
		}
		o := evidence.Observation{At: at, Leg: evidence.Leg(1 + r.IntN(2))}
		switch r.IntN(9) {
		case 0:
			o.What = evidence.Socket{Call: evidence.Call(r.IntN(len(callWords))), Saw: evidence.Saw(1 + r.IntN(len(sawWords)-1))}
		case 1:
			o.What = evidence.Socket{Call: evidence.Call(r.IntN(len(callWords))), Saw: evidence.Error, Errno: evidence.Errno(r.IntN(140))}
		case 2:
			o.Leg = evidence.Leg(r.IntN(3))
			o.What = evidence.Action(1 + r.IntN(len(actionWords)-1))
		case 3:
			i := evidence.ICMP{Errno: evidence.Errno(r.IntN(2) * r.IntN(65536))}
			if r.IntN(2) > 0 {
				i = randomFields(r, i)
			}
			i.Type, i.Code, i.IPv6 = uint8(r.Uint32()), uint8(r.Uint32()), r.IntN(2) > 0
			i.From = pick(r, netip.Addr{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fe80::1%eth0.7"), netip.MustParseAddr("::ffff:1.2.3.4"))
			o.Leg, o.What = evidence.Leg(r.IntN(3)), i
		case 4:
			o.What = pick[evidence.What](r, randomFields(r, evidence.Transfer{}), randomFields(r, evidence.Snapshot{}))
		case 5:
			o.Leg, o.What = evidence.Leg(r.IntN(3)), randomFields(r, evidence.Kernel{})
		case 6:
			o.Leg, o.What = evidence.Leg(r.IntN(3)), randomFields(r, evidence.Packet{Scale: evidence.ScaleUnknown, WindowScale: evidence.NoScale})
		case 7:
			o.Leg, o.What = evidence.Leg(r.IntN(3)), randomFields(r, evidence.Stream{})
		case 8:
			o.Leg, o.What = evidence.Leg(r.IntN(3)), randomFields(r, evidence.Baseline{})
		}
		ev.Observations = append(ev.Observations, o)
	}
	return ev
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// randomFields fills a struct, leaving about half of its fields as they are.
func randomFields[T any](r *rand.Rand, v T) T {
	s := reflect.ValueOf(&v).Elem()
	for i := range s.NumField() {
		f := s.Field(i)
		switch field := f.Addr().Interface().(type) {
		case *evidence.Leg:
			*field = evidence.Leg(r.IntN(3))
			continue
		case **evidence.ResetSays:
			if r.IntN(3) == 0 {
				says := randomFields(r, evidence.ResetSays{})
				*field = &says
			}
			continue
		case *netip.Addr:
			continue
		}
		switch {
		case r.IntN(2) == 0:
		case f.CanInt():
			f.SetInt(int64(r.Uint64() >> r.IntN(64)))
		case f.CanUint():
			f.SetUint(r.Uint64() >> r.IntN(64))
		case f.Kind() == reflect.Bool:
			f.SetBool(true)
		case f.Kind() == reflect.String:
			f.SetString(pick(r, "NO_SOCKET", "nginx: worker", "go away, (you) @ home/says=1", "\x00\xff%41 \n\"é\u2028"))
		default:
			panic("no random " + f.Type().String())
		}
	}
	return v
}

// Every word of the vocabulary must have one in the record, also those that are added one day.
func TestVocabularyIsComplete(t *testing.T) {
	for _, tt := range []struct {
		name  string
		words []string
		extra int // constants without a word in the list
	}{
		{"Action", actionWords[1:], 1}, // NoAction
		{"Call", callWords[:], 0},
		{"Saw", sawWords[1:], 2}, // NoSaw, and Error, which goes by its number
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, want := len(tt.words)+tt.extra, countConstants(t, tt.name); got != want {
				t.Errorf("got words for %d, want for %d constants of evidence.%s", got, want, tt.name)
			}
			for i, w := range tt.words {
				if w == "" || slices.Index(tt.words, w) != i {
					t.Errorf("word %d is %q, want one of its own", i, w)
				}
			}
		})
	}
	t.Run("Transfer", func(t *testing.T) { testValues(t, transferValues[:]) })
	t.Run("Snapshot", func(t *testing.T) { testValues(t, snapshotValues[:]) })
	t.Run("Packet", func(t *testing.T) { testValues(t, packetValues[:], "From", "To", "Flags", "Reset") })
	t.Run("ResetSays", func(t *testing.T) { testValues(t, resetValues[:]) })
	t.Run("Stream", func(t *testing.T) { testValues(t, streamValues[:], "From", "To") })
	t.Run("Baseline", func(t *testing.T) { testValues(t, baselineValues[:], "Of") })
	t.Run("ICMP", func(t *testing.T) { testValues(t, icmpValues[:], "Type", "Code", "IPv6", "From", "Errno") })
	t.Run("Kernel", func(t *testing.T) { testValues(t, kernelValues[:], "Sent", "From", "To") })
	if got, want := len(whats(t)), 9; got != want {
		t.Errorf("package evidence has %d kinds of observations, %q; the random evidence has %d", got, whats(t), want)
	}
}

// testValues holds that each field has a name, but for those that are written in another way.
func testValues[T any](t *testing.T, values []value[T], otherwise ...string) {
	var v T
	s := reflect.ValueOf(&v).Elem()
	told := map[any]string{}
	for i := range values {
		told[values[i].in(&v)] = values[i].name
	}
	names := map[string]bool{}
	for i := range s.NumField() {
		if slices.Contains(otherwise, s.Type().Field(i).Name) {
			continue
		}
		name := told[s.Field(i).Addr().Interface()]
		if name == "" || names[name] {
			t.Errorf("field %s is written as %q, want a name of its own", s.Type().Field(i).Name, name)
		}
		names[name] = true
	}
}

// countConstants counts the constants of a type in package evidence.
func countConstants(t *testing.T, typ string) (n int) {
	t.Helper()
	for _, d := range declarations(t) {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		if id, ok := g.Specs[0].(*ast.ValueSpec).Type.(*ast.Ident); ok && id.Name == typ {
			n += len(g.Specs)
		}
	}
	return n
}

// whats names the types that are an evidence.What.
func whats(t *testing.T) (names []string) {
	t.Helper()
	for _, d := range declarations(t) {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil && f.Name.Name == "source" {
			names = append(names, f.Recv.List[0].Type.(*ast.Ident).Name)
		}
	}
	return names
}

// declarations are those of package evidence, read in this process: see integration/house.
func declarations(t *testing.T) (all []ast.Decl) {
	t.Helper()
	paths, err := filepath.Glob("../evidence/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, file.Decls...)
	}
	return all
}

func TestParseRefuses(t *testing.T) {
	good := string(Append(nil, witnessed()))
	for _, tt := range []struct{ name, old, new, want string }{
		{"no JSON", `{"@`, `@`, "no record"},
		{"half a record", `"whyreset":{`, `"`, "not a record"},
		{"no time", `"@timestamp":"`, `"@timestamp":"x`, "@timestamp"},
		{"no start", `"start":"`, `"start":"x`, "event.start"},
		{"an end before its start", `"end":"2026`, `"end":"2025`, "event.end: "},
		{"no address", `"local":"10.0.0.1:40312"`, `"local":"10.0.0.1"`, "whyreset.upstream: local"},
		{"no destination", `"destination":{"ip":"`, `"destination":{"ip":"x`, "destination.ip"},
		{"no confidence", `"likely"`, `"certain"`, `confidence is "certain"`},
		{"time before time", `"idle_ms":11992`, `"idle_ms":-1`, "idle_ms"},
		{"an unknown event", `u:fin@`, `u:fun@`, `whyreset.events has "u:fun@12.001"`},
		{"an unknown action", `p:abort_d`, `p:abort_x`, `whyreset.events`},
		{"an unknown leg", `u:fin@`, `x:fin@`, `want a leg`},
		{"an unknown call", `/send`, `/spend`, `want a call`},
		{"a time of no kind", `u:fin@12.001`, `u:fin@soon`, `no time in seconds`},
		{"time going back", `u:fin@12.001`, `u:fin@11.001`, `back in time`},
		{"a sample out of place", `"samples":"3:`, `"samples":"99:`, `in place 99`},
		{"an unknown sample", `:moved@`, `:removed@`, `want a kind`},
		{"an unknown value", `(in=`, `(inn=`, `no value is called "inn"`},
		{"a value too large", `state=7`, `state=700`, `state`},
		{"a packet of nobody", `u>p:R@`, `u:R@`, `want ends like d>u`},
		{"a packet without flags", `u>p:R@`, `u>p:@`, `want flags`},
		{"flags out of order", `u>p:R@`, `u>p:RS@`, `want flags`},
		{"a packet out of place", `"9:u>p:`, `"99:u>p:`, `in place 99`},
		{"a packet of two legs", `"9:u>p:`, `"9:u:u:u>p:`, `want from>to:flags`},
		{"a packet's unknown value", `(seq=20`, `(sec=20`, `no value is called "sec"`},
		{"a packet that goes back in time", `u>p:R@12.004`, `u>p:R@12.003`, `back in time`},
		{"a truth with a value", `segs=1)`, `segs=1,df=1)`, `df: it is there or not`},
		{"a text that is none", `process=postgres`, `process=%zz`, `process`},
		{"a reset's words without an end", `segs=1)`, `segs=1)says(text=x`, `want says(name=value,…)`},
		{"an account that says something", `u>p:R@12.004(seq=20,scale=7,ttl=64,df,segs=1)`, `u>p:all@12.004says`, `only a packet says something`},
		{"a kernel of no ends", `kernel_sent(u>p`, `kernel_sent(u`, `want ends like d>u`},
		{"a kernel's word that is none", `kernel_sent(`, `kernel_lost(`, `want icmp(type/code`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := strings.Replace(good, tt.old, tt.new, 1)
			if bad == good {
				t.Fatalf("the example has no %s:\n%s", tt.old, good)
			}
			if _, err := Parse([]byte(bad)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestParseTellsOtherRecords(t *testing.T) {
	n := notices()[0]
	for name, line := range map[string]string{
		"start":           string(AppendStart(nil, anExample())),
		"notice":          string(n.Append(nil)),
		"another program": `{"@timestamp":"2026-11-24T09:30:00Z","message":"hello"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse([]byte(line)); !errors.Is(err, ErrOther) {
				t.Errorf("got error %v, want %v", err, ErrOther)
			}
		})
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.000", 1: "0.000000001", time.Millisecond: "0.001", 12001 * time.Millisecond: "12.001",
		12001500 * time.Microsecond: "12.0015", 1<<63 - 1: "9223372036.854775807", -1 << 63: "-9223372036.854775808", -time.Second: "-1.000",
	} {
		t.Run(want, func(t *testing.T) {
			if got := string(appendSeconds(nil, d)); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if got, err := readSeconds(want); got != d || err != nil {
				t.Errorf("got %v, %v, want %v back", got, err, d)
			}
		})
	}
	for _, bad := range []string{"", ".", "1", "1.", "1.00", "1.0000000001", "9223372036.854775808", "-9223372036.854775809", "99999999999999999999.000", "1.-00", "+1.000", "--1.000"} {
		if d, err := readSeconds(bad); err == nil {
			t.Errorf("%q was read as %v, want an error", bad, d)
		}
	}
}

func TestIDs(t *testing.T) {
	at := time.UnixMilli(1469922850259) // the example of the ULID specification
	a, b := NewID(at), NewID(at.Add(time.Millisecond))
	if got, want := a[:10], "01ARZ3NDEK"; got != want {
		t.Errorf("got time %s, want %s", got, want)
	}
	if len(a) != 26 || a >= b || a[10:] == b[10:] {
		t.Errorf("got %s and %s, want 26 characters, in order of time, with different chance", a, b)
	}
}

// Whatever Parse takes, Append writes as a record within the contract, and reading that changes no more.
func FuzzParse(f *testing.F) {
	for _, c := range []*Connection{anExample(), harmless(), refused(), captured(), witnessed()} {
		f.Add(Append(nil, c))
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 5 {
		c := anExample()
		c.Evidence = randomEvidence(r, c)
		f.Add(Append(nil, c))
	}
	f.Add([]byte(`{"event":{"dataset":"whyreset.connection"}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		c, err := Parse(line)
		if err != nil {
			return
		}
		first := Append(nil, c)
		if f := faults(first, InEnd); f != nil {
			t.Fatalf("%q\n%s", f, first)
		}
		again, err := Parse(first)
		if err != nil {
			t.Fatalf("%v\n%s", err, first)
		}
		if again.Evidence != nil {
			if diff := cmp.Diff(c.Evidence, again.Evidence, compare...); diff != "" {
				t.Fatalf("the evidence changed (-read +read again):\n%s", diff)
			}
		}
		if second := Append(nil, again); string(second) != string(first) {
			t.Fatalf("writing what was read changed the record\n%s\n%s", first, second)
		}
	})
}
