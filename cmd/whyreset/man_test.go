package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra/doc"
)

var manDir = flag.String("man", "", "write the manual pages into this `folder`")

// The manual is made from the commands. The generator is a test so that the product does not carry it.
func TestManual(t *testing.T) {
	dir := *manDir
	if dir == "" {
		dir = t.TempDir()
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	root := newRootCommand()
	root.DisableAutoGenTag = true
	fixed := time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC) // the same pages from the same commands
	if err := doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "whyreset", Manual: "whyreset", Date: &fixed}, dir); err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(pages) < 9 {
		t.Fatalf("got %d pages and %v, want one for each command", len(pages), err)
	}
	run, err := os.ReadFile(filepath.Join(dir, "whyreset-run.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{".SH EXAMPLE", "timeouts.connect", "SIGHUP"} {
		if !strings.Contains(string(run), want) {
			t.Errorf("whyreset-run.1 does not hold %q", want)
		}
	}
}
