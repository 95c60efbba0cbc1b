package trial

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/record"
	"whyreset/integration/scenario"
)

// Records of trials that were explained wrongly once, with what had been done. Kernels and machines make such moments seldom.
var kept = []struct{ file, by, truth, what string }{
	{"forged-then-closed.json", "all sources", "injected_reset", "the client's own reset came 43 ms after the forged one, and the kernel told of it within a millisecond"},
	{"forged-unlike-linux.json", "all sources", "injected_reset", "the sender's stack is Linux's, which writes no window and no acknowledgement into such a reset"},
	{"forged-unasked.json", "all sources", "injected_reset", "nothing had been sent that it could answer, and it lacks the flow label that all others bear"},
	{"forged-answer-delivered.json", "all sources", "injected_reset", "what it seems to answer was acknowledged by the peer afterwards"},
	{"late-write-behind-fin.json", "sockets only", "write_after_close", "between the FIN and the reset a byte was sent, of which only the final account knows"},
}

func TestKept(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) != len(kept) {
		t.Fatalf("%d files for %d records (%v)", len(files), len(kept), err)
	}
	for _, k := range kept {
		t.Run(k.file, func(t *testing.T) {
			line, err := os.ReadFile(filepath.Join("testdata", k.file))
			if err != nil {
				t.Fatal(err)
			}
			c, err := record.Parse(line)
			if err != nil {
				t.Fatal(err)
			}
			for _, sources := range Views {
				v := diagnose.Diagnose(sources.Of(c.Evidence))
				if sources.Name == k.by && !scenario.Right(k.truth, v) {
					t.Errorf("got %s, %v, or %q, want %s: %s", v.Cause, v.Confidence, v.Alternatives, k.truth, k.what)
				}
				if v.Confidence == cause.Conclusive && v.Cause != k.truth && !slices.Contains(v.Alternatives, k.truth) {
					t.Errorf("%s: got %s, conclusive, want %s", sources.Name, v.Cause, k.truth)
				}
			}
		})
	}
}
