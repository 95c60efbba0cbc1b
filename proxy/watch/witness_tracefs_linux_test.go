package watch

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// instances are ours in the kernel's tracefs.
func (t *tracefs) instances(tb testing.TB) (names []string) {
	tb.Helper()
	entries, err := os.ReadDir(t.path("instances"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), instancePrefix) {
			names = append(names, "instances/"+e.Name())
		}
	}
	return names
}

// What a crash leaves in the kernel goes with the next start; what is in use stays.
func TestTracefsLeavesNothing(t *testing.T) {
	living := witness(t, "tracefs")
	if living == nil {
		return
	}
	inUse := living.source.(*tracefs).instance
	crashed, err := openTracefs()
	if err != nil {
		t.Fatal(err)
	}
	left := crashed.instance
	if all := crashed.instances(t); !slices.Contains(all, left) || !slices.Contains(all, inUse) {
		t.Fatalf("got instances %q, want %q and %q among them", all, left, inUse)
	}
	crashed.instance = "" // so that close leaves it
	crashed.close()
	next, err := openTracefs()
	if err != nil {
		t.Fatal(err)
	}
	defer next.close()
	all := next.instances(t)
	if slices.Contains(all, left) {
		t.Errorf("got instances %q, want %q gone", all, left)
	}
	if !slices.Contains(all, inUse) {
		t.Errorf("got instances %q, want %q still there", all, inUse)
	}
	living.Close()
	if all := next.instances(t); slices.Contains(all, inUse) {
		t.Errorf("got instances %q, want %q gone with its witness", all, inUse)
	}
}
