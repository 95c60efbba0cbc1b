package house

import (
	"fmt"
	"strings"
	"testing"
)

// shortest is the length below which a package comment cannot say what the package is for and what it is not.
const shortest = 80

// commentFaults wants exactly one package comment in each package. With two, go doc joins them in the order of file
// names, and neither reads as written.
func commentFaults(t testing.TB, root string) []string {
	var faults []string
	for _, r := range readRooms(t, root) {
		onlyTests := true
		for _, file := range r.files {
			onlyTests = onlyTests && file.test
		}
		var text, name string
		var where []string
		for _, file := range r.files {
			if file.test && !onlyTests {
				continue
			}
			name = file.ast.Name.Name
			if doc := file.ast.Doc.Text(); doc != "" {
				text = doc
				where = append(where, file.name)
			}
		}
		opening := "Package " + strings.TrimSuffix(name, "_test") + " "
		if name == "main" {
			opening = "Command "
			if strings.HasPrefix(r.dir, "cmd/") {
				opening = "Command " + r.dir[strings.LastIndex(r.dir, "/")+1:] + " "
			}
		}
		switch {
		case len(where) == 0:
			faults = append(faults, fmt.Sprintf("%s has no package comment: say what it is for", r.dir))
		case len(where) > 1:
			faults = append(faults, fmt.Sprintf("%s has a package comment in each of %s: keep one", r.dir, strings.Join(where, ", ")))
		case !strings.HasPrefix(text, opening):
			faults = append(faults, fmt.Sprintf("%s/%s: the package comment does not begin with %q", r.dir, where[0], opening))
		case len(text) < shortest:
			faults = append(faults, fmt.Sprintf("%s/%s: the package comment is too short to say what the package is for: %q",
				r.dir, where[0], strings.TrimSpace(text)))
		}
	}
	return faults
}

func TestPackageComments(t *testing.T) {
	report(t, commentFaults(t, moduleRoot(t)))
}

func TestPackageCommentsNoticesBreaches(t *testing.T) {
	const good = "// Package proxy carries bytes from one side to the other, and says how that ended. It keeps no record.\n"
	tryBreaches(t, []breach{
		{name: "one comment", files: map[string]string{
			"proxy/doc.go":       good + "package proxy\n",
			"proxy/server.go":    "// Another subject.\n\npackage proxy\n",
			"proxy/a_test.go":    "// Test files may say what they like.\npackage proxy\n",
			"cmd/tool/main.go":   "// Command tool does one thing, and this sentence is as long as it must be to say which one.\npackage main\n",
			"only/tests_test.go": strings.Replace(good, "proxy", "only", 1) + "package only_test\n",
		}},
		{name: "none", files: map[string]string{"proxy/server.go": "package proxy\n"},
			want: []string{"proxy has no package comment"}},
		{name: "none where all are tests", files: map[string]string{"proxy/a_test.go": "package proxy\n"},
			want: []string{"proxy has no package comment"}},
		{name: "two", files: map[string]string{
			"proxy/doc_linux.go": good + "package proxy\n",
			"proxy/doc_other.go": good + "package proxy\n",
		}, want: []string{"in each of doc_linux.go, doc_other.go"}},
		{name: "says nothing", files: map[string]string{"proxy/a.go": "// Package proxy is the proxy.\npackage proxy\n"},
			want: []string{"too short"}},
		{name: "names another", files: map[string]string{"proxy/a.go": strings.Replace(good, "proxy", "relay", 1) + "package proxy\n"},
			want: []string{`does not begin with "Package proxy "`}},
		{name: "a command", files: map[string]string{"cmd/tool/a.go": "// Package main is the tool.\npackage main\n"},
			want: []string{`does not begin with "Command tool "`}},
	}, commentFaults)
}
