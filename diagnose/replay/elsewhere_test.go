package replay

import (
	"bytes"
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
func elsewhere(t *testing.T, path string, by time.Duration, hops uint8) (all []*Connection) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var frames []Frame
	for {
		f, err := r.Next()
		if err != nil {
			break
		}
		f.Data = slices.Clone(f.Data)
		p := Decode(&f)
		if p.Kind != Segment {
			return nil
		}
		observer := strings.HasPrefix(p.IP.Src.String(), "10.231.1.") || strings.HasPrefix(p.IP.Src.String(), "fd31:1:")
		shift, ttl := -by, p.IP.TTL+hops
		if observer {
			shift, ttl = by, p.IP.TTL-hops
		}
		f.At = f.At.Add(shift)
		at := bytes.IndexByte(f.Data, 0x45) // the IPv4 header, behind Ethernet
		if p.IP.Version == 6 {
			f.Data[14+7] = ttl
		} else if at = 14; f.Data[at] == 0x45 {
			f.Data[at+8] = ttl
		}
		frames = append(frames, f)
	}
	slices.SortStableFunc(frames, func(a, b Frame) int { return a.At.Compare(b.At) })
	tracker := NewTracker(func(c *Connection) { all = append(all, c) })
	for i := range frames {
		frames[i].Number = i + 1
		tracker.Add(&frames[i])
	}
	tracker.Flush()
	return all
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
