package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tshark opens what is written of all captures at once, counts the same frames, and shows a comment for each connection.
func TestExplainWrittenForTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed: ", err)
	}
	var files []string
	for _, dir := range []string{"lab", "public"} {
		found, err := filepath.Glob(filepath.Join(captures, dir, "*.pcap*"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Skip("the captures are not here: nothing in ", captures)
	}
	out := filepath.Join(t.TempDir(), "out.pcapng")
	records, code, said := explained(t, append(files, "--all", "--write-pcapng", out)...)
	var frames int
	if _, err := fmt.Sscanf(said, "whyreset: %d frames written to ", &frames); err != nil || code != exitOK {
		t.Fatalf("got exit code %d and %q, want how many frames were written", code, said)
	}
	shown, err := exec.Command(tshark, "-n", "-r", out, "-T", "fields", "-e", "frame.number", "-e", "frame.comment").Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	if got := bytes.Count(shown, []byte("\n")); got != frames {
		t.Errorf("tshark finds %d frames, want %d", got, frames)
	}
	if got := strings.Count(string(shown), "whyreset: "); got != len(records) {
		t.Errorf("tshark shows %d comments, want one for each of %d connections", got, len(records))
	}
	t.Logf("%d connections of %d captures, %d frames", len(records), len(files), frames)
}
