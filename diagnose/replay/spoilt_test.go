package replay

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/evidence"
)

// spoil makes of a capture one that shows the same worse, or from elsewhere. Of what happened nothing changes.
type spoil struct {
	name  string
	seeds int // different runs; zero: chance has no part in it
	make  func(all []Packet, random *rand.Rand) []Packet
}

var spoils = slices.Concat(
	numbered("without the first %d packets", func(all []Packet, n int) []Packet { return all[min(n, len(all)):] }, 1, 2, 3, 4, 6, 9),
	numbered("without the last %d packets", func(all []Packet, n int) []Packet { return all[:max(0, len(all)-n)] }, 1, 2, 3, 5, 8),
	numbered("with one packet of %d lost", nil, 20, 5, 2),
	numbered("clocks off by up to %d µs", nil, 200, 2000),
	numbered("all TTLs of clients less by %d", func(all []Packet, n int) []Packet { return farther(all, true, uint8(n)) }, 3),
	numbered("all TTLs of servers less by %d", func(all []Packet, n int) []Packet { return farther(all, false, uint8(n)) }, 7),
	numbered("%d %% of its times", slower, 10, 50, 300, 1000),
	numbered("half of its times once more, another hop on, %d µs later", metTwice, 20, 400),
	[]spoil{
		{"of clients only", 0, func(all []Packet, _ *rand.Rand) []Packet { return oneWay(all, true) }},
		{"of servers only", 0, func(all []Packet, _ *rand.Rand) []Packet { return oneWay(all, false) }},
		{"without timestamps", 0, withoutTimestamps},
	})

// runs are the seeds to try.
func (s *spoil) runs() uint64 {
	if *thorough && s.seeds > 0 {
		return 100
	}
	return uint64(max(1, s.seeds))
}

// numbered are spoils of several sizes. Those of chance have no make of their own.
func numbered(name string, make func([]Packet, int) []Packet, sizes ...int) (all []spoil) {
	for _, n := range sizes {
		s := spoil{name: fmt.Sprintf(name, n)}
		switch {
		case make != nil:
			s.make = func(all []Packet, _ *rand.Rand) []Packet { return make(all, n) }
		case name[0] == 'w':
			s.seeds = 4
			s.make = func(all []Packet, random *rand.Rand) []Packet {
				return slices.DeleteFunc(all, func(Packet) bool { return random.IntN(n) == 0 })
			}
		default:
			s.seeds = 2
			s.make = func(all []Packet, random *rand.Rand) []Packet {
				for i := range all {
					all[i].At = all[i].At.Add(time.Duration(random.IntN(n)) * time.Microsecond)
				}
				return inOrder(all)
			}
		}
		all = append(all, s)
	}
	return all
}

func inOrder(all []Packet) []Packet {
	slices.SortStableFunc(all, func(a, b Packet) int { return a.At.Compare(b.At) })
	for i := range all {
		all[i].Frame = i + 1
	}
	return all
}

// ofClient knows the lab's clients: they have the higher ports.
func ofClient(p *Packet) bool { return p.TCP.SrcPort > p.TCP.DstPort }

func oneWay(all []Packet, clients bool) []Packet {
	return slices.DeleteFunc(all, func(p Packet) bool { return p.Kind == Segment && ofClient(&p) != clients })
}

func farther(all []Packet, clients bool, hops uint8) []Packet {
	for i := range all {
		if p := &all[i]; ofClient(p) == clients {
			p.IP.TTL -= min(hops, p.IP.TTL)
		}
	}
	return all
}

func slower(all []Packet, percent int) []Packet {
	for i := range all {
		all[i].At = all[0].At.Add(all[i].At.Sub(all[0].At) * time.Duration(percent) / 100)
	}
	return all
}

// metTwice is a capture at two devices of a router next to the client.
func metTwice(all []Packet, µs int) []Packet {
	for _, p := range all {
		hop, later := p, time.Duration(µs)*time.Microsecond
		if !ofClient(&p) {
			later = -later
			hop.IP.TTL += 2
		}
		hop.IP.TTL--
		hop.At = hop.At.Add(later)
		all = append(all, hop)
	}
	return inOrder(all)
}

func withoutTimestamps(all []Packet, _ *rand.Rand) []Packet {
	for i := range all {
		o := &all[i].TCP.Options
		o.HasTimestamps, o.TSVal, o.TSEcr = false, 0, 0
	}
	return all
}

// segmentsOf are all packets of a capture.
func segmentsOf(t *testing.T, path string) (all []Packet) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(bytes.NewReader(file))
	for err == nil {
		var frame Frame
		if frame, err = r.Next(); err == nil {
			frame.Data = bytes.Clone(frame.Data) // a Packet points into it
			all = append(all, Decode(&frame))
		}
	}
	return all
}

func flowsOf(all []Packet) (connections []*Connection) {
	tracker := NewTracker(func(c *Connection) { connections = append(connections, c) })
	for i := range all {
		switch p := &all[i]; p.Kind {
		case Segment:
			tracker.segment(p)
		case ICMPError:
			tracker.icmpError(p)
		}
	}
	tracker.Flush()
	return connections
}

// TestLabSpoilt holds that a worse capture of the same makes verdicts vaguer, not wrong and sure.
func TestLabSpoilt(t *testing.T) {
	type tally [cause.Conclusive + 1][2]int
	sum := map[string]*tally{}
	for _, row := range readTruth(t) {
		if row.outcome == "-" {
			continue
		}
		whole := segmentsOf(t, filepath.Join(labCaptures, row.capture+".pcap"))
		// A capture holds other connections, too: what is said of each with all packets there is right (TestLab).
		right := map[string][]string{}
		for _, c := range flowsOf(whole) {
			ev := c.Evidence()
			if v := diagnose.Diagnose(&ev); v.Phase != "" && !slices.Contains(row.accepted, v.Cause) {
				right[c.Client.String()] = append(right[c.Client.String()], v.Cause)
			}
		}
		for _, s := range spoils {
			for seed := range s.runs() {
				for _, c := range flowsOf(s.make(slices.Clone(whole), rand.New(rand.NewPCG(seed, 1)))) {
					ev := c.Evidence()
					v := diagnose.Diagnose(&ev)
					if v.Phase == "" || c.Reset == nil && row.outcome == "reset" {
						continue // nothing of it ended, or what is in question is not there
					}
					for _, cite := range slices.Concat(v.For, v.Against) {
						if cite.Source != evidence.Packets {
							t.Errorf("%s %s: %s cites %+v, of what was not watched", row.capture, s.name, v.Cause, cite)
						}
					}
					ok := row.outcome == "none" && !v.Harmful() || slices.Contains(row.accepted, v.Cause) || slices.Contains(right[c.Client.String()], v.Cause)
					if sum[s.name] == nil {
						sum[s.name] = new(tally)
					}
					n := &sum[s.name][v.Confidence]
					if ok {
						n[0]++
						continue
					}
					n[1]++
					text := fmt.Sprintf("%s %s, run %d: got %s %s (%s, for %v, %s), want one of %q", row.capture, s.name, seed, v.Confidence, v.Cause, v.Sentence, v.For, ev.Coverage.Packets, row.accepted)
					switch {
					case v.Confidence == cause.Conclusive:
						t.Error(text)
					case v.Confidence == cause.Likely:
						t.Log(text)
					}
				}
			}
		}
	}
	for _, s := range spoils {
		if n := sum[s.name]; n != nil {
			t.Logf("%-60s right/not: conclusive %v, likely %v, possible %v", s.name, n[cause.Conclusive], n[cause.Likely], n[cause.Possible])
		}
	}
}

// sampleSize bounds the captures that are spoilt in every run of the tests, in bytes.
const sampleSize = 100_000

// TestPublicSpoilt needs no truth: what is certain of a spoilt capture must be what the whole one says, or what it holds for possible, as
// long as both blame the same side: where each reset the other, which was first only the whole one tells.
func TestPublicSpoilt(t *testing.T) {
	readReference(t)
	files, err := filepath.Glob(filepath.Join(publicCaptures, "*.pcap*"))
	if err != nil {
		t.Fatal(err)
	}
	seeds := uint64(4)
	if !*thorough { // all of them take minutes
		seeds = 1
		files = slices.DeleteFunc(files, func(path string) bool {
			info, err := os.Stat(path)
			return err == nil && info.Size() > sampleSize
		})
	}
	name := func(c *Connection) string { return fmt.Sprintf("%v %v %d", c.Client, c.Server, c.ISN) }
	for _, path := range files {
		whole := segmentsOf(t, path)
		said := map[string][]string{}
		for _, c := range flowsOf(whole) {
			ev := c.Evidence()
			v := diagnose.Diagnose(&ev)
			said[name(c)] = append(append(said[name(c)], v.Cause, string(v.Side)), v.Alternatives...)
			if v.Cause == "ignored_reset" { // what follows a forged one may be cut off
				said[name(c)] = append(said[name(c)], "injected_reset")
			}
		}
		for _, s := range spoils {
			for seed := range min(s.runs(), seeds) {
				for _, c := range flowsOf(s.make(slices.Clone(whole), rand.New(rand.NewPCG(seed, 1)))) {
					ev := c.Evidence()
					v := diagnose.Diagnose(&ev)
					if before := said[name(c)]; v.Confidence == cause.Conclusive && v.Harmful() && slices.Contains(before, string(v.Side)) && !slices.Contains(before, v.Cause) {
						t.Errorf("%s %s, run %d: %s is conclusively %s (%s), of the whole it was %q", filepath.Base(path), s.name, seed, name(c), v.Cause, v.Sentence, before)
					}
				}
			}
		}
	}
}
