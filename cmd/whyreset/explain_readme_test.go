package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What the README shows of explain is what it says; go test ./cmd/whyreset -update writes it.
func TestReadmeExplain(t *testing.T) {
	const readme, capture, shownAs = "../../README.md", "s02c_router_mid_peer_speaks_after.pcap", "trace.pcap"
	file, err := os.ReadFile(filepath.Join(captures, "lab", capture))
	if err != nil {
		t.Skip("the captures are not here: ", err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, shownAs), file, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("whyreset", "explain", shownAs, "--format", "console")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TZ=UTC", "COLUMNS=130")
	said, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(page), "$ whyreset explain "+shownAs+"\n")
	shown, after, closed := strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatalf("%s does not show whyreset explain %s", readme, shownAs)
	}
	want := string(bytes.TrimRight(said, "\n")) + "\n"
	if *update {
		if err := os.WriteFile(readme, []byte(before+"$ whyreset explain "+shownAs+"\n"+want+"```\n"+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("%s shows something else (-now +shown); go test ./cmd/whyreset -update writes it:\n%s", readme, diff)
	}
}
