package render

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/evidence"
)

var update = flag.Bool("update", false, "rewrite the expected pages")

var at = time.Date(2026, 11, 24, 9, 5, 12, 254_000_000, time.UTC)

func unread() *Connection {
	return &Connection{
		Time: at, Listener: "db", Client: "10.0.0.7:51234", Upstream: "10.0.0.5:5432", Received: 61_440, Sent: 19, Duration: 12004 * time.Millisecond,
		Verdict: &diagnose.Verdict{
			Action: diagnose.Reset, Cause: "app_close_unread", Confidence: cause.Likely, Impact: diagnose.RequestUnanswered,
			Sentence: "upstream 10.0.0.5:5432 ended its answer and, 3 ms later, closed the connection with 61 kB of ours unread",
			For: []cause.Cite{{Source: evidence.Sockets, Says: "a FIN, then a reset 3 ms later (EPIPE: the kernel's word for that order)"},
				{Source: evidence.Sockets, Says: "its kernel had acknowledged all we sent, so the reset answers none of it"},
				{Source: evidence.Packets, Says: "the reset bears the window of a live socket"},
				{Source: evidence.Self, Says: "nothing of ours was sent in between"}},
			Against:      []cause.Cite{{Source: evidence.Sockets, Says: "an abort with everything read sends the same reset"}},
			Alternatives: []string{"app_abort"}, Missing: []string{"the kernel's reset reason on the peer's host"},
			Timers: []string{"12 s is the default of a server (its_timeout); the server must wait longer than the client keeps idle connections"},
			Advice: []string{"Let the server read the rest before it closes (nginx lingering_close), or let the client wait for the answer before it sends the body",
				"Look for a crash at that moment"},
		},
	}
}

func examples() []*Connection {
	closed := &Connection{Time: at, Listener: "web", Client: "192.168.100.200:65535", Upstream: "10.0.0.9:80", Received: 412, Sent: 1_250_000, Duration: 1234567 * time.Microsecond,
		Verdict: &diagnose.Verdict{Action: diagnose.Closed, Cause: "clean_close", Confidence: cause.Conclusive, Impact: diagnose.NoImpact,
			Sentence: "both sides closed in order"}}
	unknown := &Connection{Time: at, Listener: "a-long-name", Client: "[2001:db8:0:1::7]:51234", Upstream: "[2001:db8:1:2:3:4:5:5]:443", Duration: 26*time.Hour + 3*time.Minute,
		Verdict: &diagnose.Verdict{Action: diagnose.TimedOut, Cause: "peer_keepalive_expired", Confidence: cause.Possible, Impact: diagnose.UnknownImpact,
			Sentence: "nobody knows"}}
	return []*Connection{unread(), closed, unknown}
}

func TestPages(t *testing.T) {
	for _, tt := range []struct {
		name  string
		style Style
	}{
		{"file", Style{}},
		{"wide", Style{Width: 160}},
		{"width-100", Style{Width: 100}},
		{"width-80", Style{Width: 80}},
		{"width-20", Style{Width: 20}},
		{"colour", Style{Width: 128, Colour: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []byte
			for _, c := range examples() {
				got = tt.style.AppendLine(got, c)
				got = tt.style.AppendWhy(got, c.Verdict)
			}
			got = tt.style.AppendNotice(got, at, "error", "cannot accept on 127.0.0.1:15432: too many open files")
			got = tt.style.AppendNotice(got, at, "info", "listening on 127.0.0.1:15432")
			golden(t, "testdata/"+tt.name+".txt", got)
		})
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test ./diagnose/render -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs; if that is meant, go test ./diagnose/render -update (-file +now):\n%s", path, diff)
	}
}

// Where addresses are of usual length, nothing is wider than the terminal.
func TestWidth(t *testing.T) {
	for width := 79; width < 180; width++ {
		s := Style{Width: width}
		page := s.AppendWhy(s.AppendLine(nil, unread()), unread().Verdict)
		for line := range strings.Lines(string(page)) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
				t.Errorf("got %d characters on a terminal of %d: %s", n, width, line)
			}
		}
	}
}

func TestAligned(t *testing.T) {
	for _, width := range []int{0, 80, 100, 120, 130} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			s := Style{Width: width}
			short, long := unread(), examples()[1]
			a, b := string(s.AppendLine(nil, short)), string(s.AppendLine(nil, long))
			got, want := column0(a, short.Verdict.Cause), column0(b, long.Verdict.Cause)
			if got != want || got < 0 {
				t.Errorf("got the cause in columns %d and %d:\n%s%s", got, want, a, b)
			}
		})
	}
}

// column0 is the column in which word begins, or -1.
func column0(line, word string) int {
	before, _, found := strings.Cut(line, word)
	if !found {
		return -1
	}
	return utf8.RuneCountInString(before)
}

// Nothing but the line breaks and colours written here reaches the terminal.
func TestNothingObeyed(t *testing.T) {
	hostile := []string{"\x1b]0;title\x07", "\x1b[2J", "\x00\x7f\r\b", "\u009b31m", "\u202eevil\u2066", "\u2028\u2029", "\xff\xfe\x9b", "a\nb\tc", "é漢🙂"}
	for _, bad := range hostile {
		t.Run(fmt.Sprintf("%q", bad), func(t *testing.T) {
			c := unread()
			c.Listener, c.Client, c.Upstream = bad, bad, bad
			v := c.Verdict
			v.Action, v.Cause, v.Sentence = diagnose.Action(bad), bad, bad
			v.For, v.Against = []cause.Cite{{Source: evidence.Source(bad), Says: bad}}, []cause.Cite{{Says: bad}}
			list := []string{bad, bad}
			v.Advice, v.Timers, v.Missing, v.Alternatives = list, list, list, list
			for _, s := range []Style{{}, {Width: 80, Colour: true}} {
				got := string(s.AppendNotice(s.AppendWhy(s.AppendLine(nil, c), v), at, bad, bad))
				for _, colour := range []string{red, yellow, faint, reset, "\n"} {
					got = strings.ReplaceAll(got, colour, "")
				}
				if !utf8.ValidString(got) {
					t.Errorf("got invalid UTF-8: %q", got)
				}
				if i := strings.IndexFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
					t.Errorf("got %q, which a terminal may obey, in %q", got[i:min(len(got), i+8)], got)
				}
			}
		})
	}
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"plain": "plain", "é漢": "é漢", "\x1b[2J": `\x1b[2J`, "\u009b": `\u009b`, "\xff": `\xff`, "\u202e": `\u202e`, "a\nb": "a b", "\x7f": `\x7f`, "\uFFFD": "\uFFFD",
	} {
		if got := clean(text); got != want {
			t.Errorf("clean(%q): got %q, want %q", text, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 9950: "10 kB", 61_440: "61 kB", 999_499: "999 kB",
		999_500: "1.0 MB", 1_250_000_000: "1.2 GB", math.MaxUint64: "18 EB"} {
		if got := Size(n); got != want || utf8.RuneCountInString(got) > 6 {
			t.Errorf("Size(%d): got %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		-1: "0.0 ms", 0: "0.0 ms", 400 * time.Microsecond: "0.4 ms", 9949 * time.Microsecond: "9.9 ms", 12 * time.Millisecond: "12 ms",
		999 * time.Millisecond: "999 ms", 999_600 * time.Microsecond: "1.00 s", 12004 * time.Millisecond: "12.0 s", 59_940 * time.Millisecond: "59.9 s",
		59_960 * time.Millisecond: "1m00s", 123 * time.Second: "2m03s", 3599_600 * time.Millisecond: "1h00m", 5*time.Hour + 7*time.Minute: "5h07m",
		24*time.Hour - time.Second: "1d00h", 291 * time.Hour: "12d03h", 9999 * 24 * time.Hour: "9999d00h",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%d): got %q, want %q", d, got, want)
		}
	}
}

func BenchmarkLine(b *testing.B) {
	s, c, dst := Style{Width: 128, Colour: true}, unread(), []byte(nil)
	b.ReportAllocs()
	for b.Loop() {
		dst = s.AppendLine(dst[:0], c)
	}
}
