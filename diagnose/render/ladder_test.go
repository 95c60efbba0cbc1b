package render

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"whyreset/diagnose/evidence"
)

// ladderScript makes observations of lines: seconds, who sends (c or s), flags, sequence number, acknowledgment, bytes, TTL, and marks.
// A line "all N" is the account of both streams, N packets together; "icmp" an error about the client's packet.
func ladderScript(t *testing.T, script string) (all []evidence.Observation) {
	t.Helper()
	frame := uint64(0)
	at := time.Duration(0)
	for _, line := range strings.Split(strings.TrimSpace(script), "\n") {
		frame++
		var n uint64
		if _, err := fmt.Sscanf(line, "all %d", &n); err == nil {
			frame--
			for _, s := range []evidence.Stream{{From: evidence.Downstream, To: evidence.Upstream, Packets: n}, {From: evidence.Upstream, To: evidence.Downstream}} {
				all = append(all, evidence.Observation{At: at, What: s})
			}
			continue
		}
		if strings.HasPrefix(line, "icmp") {
			all = append(all, evidence.Observation{At: at, What: evidence.ICMP{Type: 3, Code: 10, From: netip.MustParseAddr("10.0.0.1"), OnWire: true, About: evidence.Downstream, TTL: 255, Frame: frame}})
			continue
		}
		if after, ok := strings.CutPrefix(line, "frame "); ok {
			fmt.Sscan(after, &frame)
			frame--
			continue
		}
		var seconds float64
		var who, flags, marks string
		p := evidence.Packet{From: evidence.Downstream, To: evidence.Upstream, Frame: frame, Window: 512}
		if n, err := fmt.Sscan(line, &seconds, &who, &flags, &p.Seq, &p.Ack, &p.Payload, &p.TTL, &marks); n < 7 {
			t.Fatalf("%s: %v", line, err)
		}
		if who == "s" {
			p.From, p.To = p.To, p.From
		}
		for i, letter := range "FSRPAUEC" {
			if strings.ContainsRune(flags, letter) {
				p.Flags |= 1 << i
			}
		}
		p.Sampled, p.Repeat, p.Probe = strings.Contains(marks, "sampled"), strings.Contains(marks, "repeat"), strings.Contains(marks, "probe")
		p.Copy, p.Cut = strings.Contains(marks, "copy"), strings.Contains(marks, "cut")
		if strings.Contains(marks, "shut") {
			p.Window = 0
		}
		at = time.Duration(seconds * 1e9)
		all = append(all, evidence.Observation{At: at, What: p})
	}
	return all
}

// The opening, what was left out, each kind of mark, a reset from nearer than the server and what came after it.
const longLadder = `
0.000000 c S 1000 0 0 64
0.020651 s SA 4294967290 1001 0 57
0.020724 c A 1001 4294967291 0 64
0.031176 c PA 1001 4294967291 400 64
frame 120
11.5 s A 5000 1401 1448 57 sampled
11.6 c A 1401 6448 0 64 sampled
11.6 c A 1401 6448 0 63 copy
11.7 s A 5000 1401 1448 57 repeat
11.8 c A 1401 6448 0 64 shut
11.9 s A 6447 1401 0 57 probe
12.0 c A 1401 6448 0 64 cut
all 130
12.004 s RA 6448 1401 0 62
12.030 s PA 6448 1401 100 57
12.031 c R 1401 0 0 64
12.1 c R 1401 0 0 64
12.2 c R 1401 0 0 64
12.3 c R 1401 0 0 64
12.4 c R 1401 0 0 64
12.5 c R 1401 0 0 64
12.6 c R 1401 0 0 64
frame 900
99.1 s PA 900 800 1 57 sampled
all 190
`

func TestLadder(t *testing.T) {
	names := func(l Ladder) *Ladder {
		l.Left, l.Right, l.LeftName, l.RightName = evidence.Downstream, evidence.Upstream, "client 10.0.0.7:51234", "server 10.0.0.5:5432"
		return &l
	}
	var page []byte
	for _, c := range []struct {
		name string
		Style
		ladder *Ladder
	}{
		{"long", Style{}, names(Ladder{Observations: ladderScript(t, longLadder), Reset: 127})},
		{"refused", Style{Width: 80, Colour: true}, names(Ladder{Observations: ladderScript(t, "0 c S 5 0 0 64\n0.001 s RA 0 6 0 57\nall 2"), Reset: 2})},
		{"no reset, and an ICMP error", Style{Width: 60}, names(Ladder{Observations: ladderScript(t, "0 c S 5 0 0 64\nicmp\n1 c S 5 0 0 64 repeat\nall 2")})},
		{"a reset alone", Style{}, names(Ladder{Observations: ladderScript(t, "0 s R 5 0 0 64\nall 1"), Reset: 1, Frame: func(n uint64) string { return fmt.Sprint("part\x1b", n) }})},
		{"begins in the middle, nothing counted", Style{}, names(Ladder{Observations: ladderScript(t, "0 s PA 700 300 9 64\n5 s PA 800 300 9 64 sampled\n5 c R 300 0 0 64")})},
	} {
		page = append(append(append(page, c.name...), ":\n"...), c.AppendLadder(nil, c.ladder)...)
		page = append(page, '\n')
	}
	golden(t, "testdata/ladder.txt", page)
}

// Nothing is drawn where there are no packets between the two ends.
func TestLadderOfNothing(t *testing.T) {
	ours := evidence.Observation{What: evidence.Packet{From: evidence.Upstream, To: evidence.NoLeg, Flags: evidence.RST}}
	l := &Ladder{Left: evidence.Downstream, Right: evidence.Upstream, Observations: []evidence.Observation{ours}}
	if got := (Style{}).AppendLadder([]byte("before"), l); string(got) != "before" {
		t.Errorf("got %q, want nothing", got)
	}
	l.Left = evidence.NoLeg
	if got := string((Style{}).AppendLadder(nil, l)); !strings.Contains(got, "◀ reset") {
		t.Errorf("got %q, want our leg's reset", got)
	}
}

// A ladder is as wide as its terminal, from 80 characters on, and stays short.
func TestLadderFits(t *testing.T) {
	for width := 80; width < 140; width++ {
		l := Ladder{Left: evidence.Downstream, Right: evidence.Upstream, LeftName: "client 10.0.0.7:51234", RightName: "server 10.0.0.5:5432",
			Observations: ladderScript(t, longLadder), Reset: 127}
		drawn := string((Style{Width: width}).AppendLadder(nil, &l))
		for line := range strings.Lines(drawn) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
				t.Errorf("got %d characters on a terminal of %d: %s", n, width, line)
			}
		}
		if n := strings.Count(drawn, "\n"); n > 1+ladderFirst+ladderBefore+1+ladderAfter+3 {
			t.Errorf("got %d lines, which is no look:\n%s", n, drawn)
		}
	}
}

// Whatever a record says, the drawing is a drawing: nothing in it can be obeyed, and nothing in it is endless.
func TestLadderOfAnything(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) // the same every time
	leg := func() evidence.Leg { return evidence.Leg(random.IntN(3)) }
	for range 2000 {
		l := Ladder{Left: leg(), Right: leg(), LeftName: "\x1b[2J", RightName: "\u202e", Reset: uint64(random.IntN(3))}
		for range random.IntN(60) {
			var what evidence.What
			switch random.IntN(4) {
			case 0:
				what = evidence.Stream{From: leg(), To: leg(), Packets: random.Uint64() >> random.IntN(64)}
			case 1:
				what = evidence.ICMP{OnWire: true, About: leg(), From: netip.Addr{}, Frame: random.Uint64()}
			default:
				what = evidence.Packet{From: leg(), To: leg(), Flags: evidence.TCPFlags(random.Uint32()), Seq: random.Uint32(), Ack: random.Uint32(),
					Payload: random.Uint32(), TTL: uint8(random.Uint32()), Frame: random.Uint64() >> random.IntN(64), Sampled: random.IntN(2) == 0, Copy: random.IntN(5) == 0}
			}
			l.Observations = append(l.Observations, evidence.Observation{At: time.Duration(random.Int64()) >> random.IntN(63), What: what})
		}
		drawn := string((Style{Width: random.IntN(200)}).AppendLadder(nil, &l))
		if i := strings.IndexFunc(drawn, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
			t.Fatalf("got %q, which a terminal may obey, in %q", drawn[i:min(len(drawn), i+8)], drawn)
		}
		if n := strings.Count(drawn, "\n"); n > 60 {
			t.Fatalf("got %d lines:\n%s", n, drawn)
		}
	}
}
