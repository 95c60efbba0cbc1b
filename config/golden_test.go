package config

import (
	"flag"
	"os"
	"strings"
	"testing"
)

// update rewrites what tests compare with: go test ./config -update.
var update = flag.Bool("update", false, "rewrite the generated documentation and the expected messages")

// golden compares got with the file, or writes it there.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test ./config -update writes it)", err)
	}
	sameText(t, got, string(data))
}

// sameText tells the first line in which two texts differ.
func sameText(t *testing.T, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	i := 0
	for i < len(g) && i < len(w) && g[i] == w[i] {
		i++
	}
	g, w = append(g, "(no more lines)"), append(w, "(no more lines)")
	t.Errorf("line %d:\n got %s\nwant %s", i+1, g[i], w[i])
}

// lines is the text of an error, with a newline at its end.
func lines(err error) string {
	if err == nil {
		return ""
	}
	return err.Error() + "\n"
}

// everything refuses nothing as not built.
var everything = supported{
	modes:   []Mode{ModeForward, ModeRedirect, ModeTProxy},
	sources: []SourceAddr{SourceOwn, SourceClientIP, SourceClient},
	spoof:   true,
	packets: true,
	witness: true,
	limits:  true,
	admin:   true,
}

// nowhere is a default path at which there is no file.
const nowhere = "testdata/no such file.yaml"
