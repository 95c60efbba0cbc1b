package house

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// A banned text is one that is of no use to a reader of a clone. The patterns are put together from pieces, for this
// file is read like every other.
type banned struct {
	pattern *regexp.Regexp
	why     string
}

var words = []banned{
	{regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME)\b`), "do it, or open an issue"},
	// Preceded by nothing that would make it the tail of a longer path or of an address.
	{regexp.MustCompile(`(?m)(^|[^\w./~})-])/(work|root|farm)(/|\b)`), "a path of one machine"},
	{regexp.MustCompile(`(?m)(^|[^\w./~})-])/tm` + `p/[\w.]`), "make a temporary folder instead, and name it nowhere"},
	{regexp.MustCompile(`(?i)\b(proxy|sum)\.golang` + `\.org\b|\bgo` + `proxy\.(io|cn)\b|\bregistry\.npm` + `js\.org\b|\bpy` +
		`pi\.org\b|\bcrates` + `\.io\b|\b(deb|security|ftp)\.debian` + `\.org\b`), "where packages come from is the machine's own setting"},
}

// wordFaults reads every text file of the tree, not only those that git tracks: asking git would take a child process.
func wordFaults(t testing.TB, root string) []string {
	var faults []string
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			// The second one is where packages for users are built.
			if slices.Contains([]string{".git", "dist"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		// Hashes may spell anything.
		if !d.Type().IsRegular() || d.Name() == "go.sum" {
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if bytes.IndexByte(text, 0) >= 0 { // binary, as git tells it
			return nil
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		for _, word := range words {
			for _, at := range word.pattern.FindAllIndex(text, -1) {
				line := 1 + bytes.Count(text[:at[1]], []byte("\n"))
				faults = append(faults, fmt.Sprintf("%s:%d has %q: %s",
					filepath.ToSlash(rel), line, bytes.TrimSpace(text[at[0]:at[1]]), word.why))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return faults
}

func TestWords(t *testing.T) {
	report(t, wordFaults(t, moduleRoot(t)))
}

func TestWordsNoticesBreaches(t *testing.T) {
	one := func(text string) map[string]string { return map[string]string{"docs/a.md": text} }
	tryBreaches(t, []breach{
		{name: "nothing to say", files: map[string]string{
			"a.go":      "package a // makes a to-do list of /etc/whyreset, see https://example.org/work/root\n",
			"b.sh":      "cd \"$dir/root\" \"${TMPDIR:-/tmp}\" ~/work; ls /proc/1/root /workers ./tm" + "p/x\n",
			"dist/a.md": "TO" + "DO",
			"pcap.bin":  "\x00TO" + "DO",
			"go.sum":    "TO" + "DO",
		}},
		{name: "put off", files: one("x\n// TO" + "DO: later\n"), want: []string{"docs/a.md:2 has \"TO" + "DO\""}},
		{name: "put off louder", files: one("FIX" + "ME"), want: []string{"do it, or open an issue"}},
		{name: "a home", files: one("see\n/ro" + "ot/notes"), want: []string{"docs/a.md:2 has \"/ro" + "ot/\""}},
		{name: "a working folder", files: one("cd /wo" + "rk/main"), want: []string{"a path of one machine"}},
		{name: "a temporary file", files: one("tee \"/tm" + "p/out\""), want: []string{"make a temporary folder"}},
		{name: "a registry", files: one("GOPROXY=https://proxy.golang" + ".org"), want: []string{"the machine's own setting"}},
	}, wordFaults)
}
