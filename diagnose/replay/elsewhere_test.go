package replay

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"whyreset/diagnose/cause"
)

// elsewhere reads a capture of the lab as if it had been taken further on the way to the endpoint: the endpoint's packets earlier, the
// observer's later, and their TTLs by the hops between. by is at most the 10 ms that the lab's way takes.
func elsewhere(t *testing.T, path string, by time.Duration, hops uint8) []*Connection {
	t.Helper()
	frames := labFrames(t, path)
	for i := range frames {
		f := &frames[i]
		p := Decode(f)
		if p.Kind != Segment {
			return nil
		}
		observer := strings.HasPrefix(p.IP.Src.String(), "10.231.1.") || strings.HasPrefix(p.IP.Src.String(), "fd31:1:")
		shift, ttl := -by, p.IP.TTL+hops
		if observer {
			shift, ttl = by, p.IP.TTL-hops
		}
		f.At = f.At.Add(shift)
		const network = 14 // bytes of Ethernet before it
		if p.IP.Version == 6 {
			f.Data[network+7] = ttl
		} else if f.Data[network] == 0x45 {
			f.Data[network+8] = ttl
		}
	}
	slices.SortStableFunc(frames, func(a, b Frame) int { return a.At.Compare(b.At) })
	for i := range frames {
		frames[i].Number = i + 1
	}
	return track(frames, nil)
}

// TestLabFromElsewhere explains what an endpoint did from captures in the middle of the way and at the endpoint itself.
func TestLabFromElsewhere(t *testing.T) {
	byPath := []string{"firewall_reject", "injected_reset", "icmp_reject", "unreachable", "local_firewall"}
	for _, place := range []struct {
		name string
		by   time.Duration
		hops uint8
	}{{"middle", 5 * time.Millisecond, 0}, {"endpoint", 10 * time.Millisecond, 1}} {
		count := map[cause.Strength][2]int{}
		for _, row := range readTruth(t) {
			made := slices.ContainsFunc(row.accepted, func(id string) bool { return slices.Contains(byPath, id) })
			if row.outcome == "-" || row.outcome == "none" || made || strings.HasPrefix(row.capture, "s21_") { // another way, without delay
				continue
			}
			v, _ := judged(elsewhere(t, filepath.Join(labCaptures, row.capture+".pcap"), place.by, place.hops))
			n := count[v.Confidence]
			if slices.Contains(row.accepted, v.Cause) {
				n[0]++
			} else {
				n[1]++
				t.Errorf("%s in the %s: got %s %s (%s, for %v), want one of %q", row.capture, place.name, v.Confidence, v.Cause, v.Sentence, v.For, row.accepted)
			}
			count[v.Confidence] = n
		}
		t.Logf("%s: %v", place.name, count)
	}
}

// TestLabLossy leaves frames out before they are read: one after the other, the first few, and all of a direction. What is left must not
// make a verdict wrong and sure.
func TestLabLossy(t *testing.T) {
	for _, row := range readTruth(t) {
		if row.outcome == "-" || row.outcome == "none" {
			continue
		}
		frames := labFrames(t, filepath.Join(labCaptures, row.capture+".pcap"))
		without := func(what string, gone func(i int, f *Frame) bool) {
			v, _ := judged(track(frames, gone))
			if v.Confidence == cause.Conclusive && v.Harmful() && !slices.Contains(row.accepted, v.Cause) {
				t.Errorf("%s without %s: got conclusively %s (%s, for %v), want one of %q", row.capture, what, v.Cause, v.Sentence, v.For, row.accepted)
			}
		}
		for n := range frames {
			without(fmt.Sprintf("frame %d", n+1), func(i int, _ *Frame) bool { return i == n })
			without(fmt.Sprintf("frames up to %d", n+1), func(i int, _ *Frame) bool { return i <= n })
			without(fmt.Sprintf("frames from %d", n+1), func(i int, _ *Frame) bool { return i >= n })
		}
		first := Decode(&frames[0])
		without("one direction", func(_ int, f *Frame) bool { p := Decode(f); return p.IP.Src == first.IP.Src })
		without("the other direction", func(_ int, f *Frame) bool { p := Decode(f); return p.IP.Src != first.IP.Src })
	}
}

func labFrames(t *testing.T, path string) (frames []Frame) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for {
		f, err := r.Next()
		if err != nil {
			return frames
		}
		f.Data = slices.Clone(f.Data)
		frames = append(frames, f)
	}
}

// track sorts frames into connections, but for those that are gone.
func track(frames []Frame, gone func(int, *Frame) bool) (all []*Connection) {
	tracker := NewTracker(func(c *Connection) { all = append(all, c) })
	for i := range frames {
		if gone == nil || !gone(i, &frames[i]) {
			tracker.Add(&frames[i])
		}
	}
	tracker.Flush()
	return all
}
