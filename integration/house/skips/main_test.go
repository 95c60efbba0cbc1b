package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Lines as Go 1.26 writes them, without their times.
const (
	skipped = `{"Action":"start","Package":"m/a"}
{"Action":"run","Package":"m/a","Test":"TestRoot"}
{"Action":"output","Package":"m/a","Test":"TestRoot","Output":"=== RUN   TestRoot\n"}
{"Action":"output","Package":"m/a","Test":"TestRoot","Output":"    a_test.go:3: trying\n"}
{"Action":"output","Package":"m/a","Test":"TestRoot","Output":"    a_test.go:4: needs root:\n"}
{"Action":"output","Package":"m/a","Test":"TestRoot","Output":"        uid is 1000\n"}
{"Action":"output","Package":"m/a","Test":"TestRoot","Output":"--- SKIP: TestRoot (0.00s)\n"}
{"Action":"skip","Package":"m/a","Test":"TestRoot","Elapsed":0}
{"Action":"run","Package":"m/a","Test":"TestAll"}
{"Action":"output","Package":"m/a","Test":"TestAll","Output":"=== RUN   TestAll\n"}
{"Action":"output","Package":"m/a","Test":"TestAll","Output":"--- PASS: TestAll (0.00s)\n"}
{"Action":"pass","Package":"m/a","Test":"TestAll","Elapsed":0}
{"Action":"output","Package":"m/a","Output":"PASS\n"}
{"Action":"output","Package":"m/a","Output":"ok  \tm/a\t0.003s\n"}
{"Action":"pass","Package":"m/a","Elapsed":0.004}
{"Action":"start","Package":"m/c"}
{"Action":"output","Package":"m/c","Output":"?   \tm/c\t[no test files]\n"}
{"Action":"skip","Package":"m/c","Elapsed":0}
`
	passed = `{"Action":"run","Package":"m/a","Test":"TestRoot"}
{"Action":"pass","Package":"m/a","Test":"TestRoot","Elapsed":0}
{"Action":"pass","Package":"m/a","Test":"TestRoot/sub","Elapsed":0}
{"Action":"pass","Package":"m/a","Elapsed":0.004}
`
	subSkipped = `{"Action":"output","Package":"m/a","Test":"TestRoot/sub","Output":"--- SKIP: TestRoot/sub (0.00s)\n"}
{"Action":"skip","Package":"m/a","Test":"TestRoot/sub","Elapsed":0}
{"Action":"pass","Package":"m/a","Test":"TestRoot","Elapsed":0}
{"Action":"pass","Package":"m/a","Elapsed":0.004}
`
	noneBegan = `{"Action":"pass","Package":"m/a","Test":"TestRoot","Elapsed":0}
{"Action":"pass","Package":"m/a","Elapsed":0.004}
{"Action":"output","Package":"m/d","Output":"ok  \tm/d\t0.003s [no tests to run]\n"}
{"Action":"pass","Package":"m/d","Elapsed":0.004}
`
	failing = `{"ImportPath":"m/e.test","Action":"build-output","Output":"# m/e\n"}
{"ImportPath":"m/e.test","Action":"build-output","Output":"e_test.go:2:13: undefined: x\n"}
{"ImportPath":"m/e.test","Action":"build-fail"}
{"Action":"start","Package":"m/e"}
{"Action":"output","Package":"m/e","Output":"FAIL\tm/e [build failed]\n"}
{"Action":"fail","Package":"m/e","Elapsed":0,"FailedBuild":"m/e.test"}
go: a word of the go command
{"Action":"start","Package":"m/b"}
{"Action":"run","Package":"m/b","Test":"TestGood"}
{"Action":"output","Package":"m/b","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"m/b","Test":"TestGood","Output":"    b_test.go:9: not worth showing\n"}
{"Action":"pass","Package":"m/b","Test":"TestGood","Elapsed":0}
{"Action":"run","Package":"m/b","Test":"TestBad"}
{"Action":"output","Package":"m/b","Test":"TestBad","Output":"=== RUN   TestBad\n"}
{"Action":"output","Package":"m/b","Test":"TestBad","Output":"    b_test.go:3: bad thing\n"}
{"Action":"output","Package":"m/b","Test":"TestBad","Output":"--- FAIL: TestBad (0.00s)\n"}
{"Action":"fail","Package":"m/b","Test":"TestBad","Elapsed":0}
{"Action":"run","Package":"m/b","Test":"TestHangs"}
{"Action":"output","Package":"m/b","Test":"TestHangs","Output":"=== RUN   TestHangs\n"}
{"Action":"output","Package":"m/b","Test":"TestHangs","Output":"panic: test timed out after 1s\n"}
{"Action":"output","Package":"m/b","Output":"FAIL\tm/b\t0.005s\n"}
{"Action":"fail","Package":"m/b","Elapsed":0.005}
`
)

func TestCompare(t *testing.T) {
	for _, test := range []struct {
		name, one, two string
		code           int
		want           string
	}{
		{"skipped in one run", skipped, passed, 0, ""},
		{"skipped in the other run", passed, skipped, 0, ""},
		{"skipped in both", skipped, skipped, 1,
			"m/a TestRoot ran nowhere\n    one: a_test.go:4: needs root: uid is 1000\n    two: a_test.go:4: needs root: uid is 1000\n"},
		{"a sub-test skipped in one, its parent in the other", subSkipped, skipped, 1,
			"m/a TestRoot/sub ran nowhere\n    one: no reason given\n"},
		{"a sub-test skipped in one", subSkipped, passed, 0, ""},
		{"a package that hides its tests", noneBegan, noneBegan, 1,
			"m/d ran nowhere\n    one: no test in it began\n    two: no test in it began\n"},
		{"no run at all", passed, "", 2, ""},
		{"no events", passed, "ok  \tm/a\t0.003s\n", 2, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			var files []string
			for name, text := range map[string]string{"one": test.one, "two": test.two} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range []string{"one", "two"} {
				files = append(files, filepath.Join(dir, name))
			}
			var stdout, stderr strings.Builder
			if code := run(files, nil, &stdout, &stderr); code != test.code {
				t.Errorf("got exit code %d, want %d; stderr: %s", code, test.code, stderr.String())
			}
			if diff := cmp.Diff(test.want, strings.ReplaceAll(stdout.String(), dir+string(filepath.Separator), "")); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
			if (test.code == 2) != strings.Contains(stderr.String(), "no test ran") {
				t.Errorf("got on stderr %q", stderr.String())
			}
		})
	}
}

func TestFollow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "events")
	events := skipped + failing + `{"Action":"output","Package":"m/z","Output":"cut sh` // the writer was killed
	var stdout, stderr strings.Builder
	if code := run([]string{"-follow", file}, strings.NewReader(events), &stdout, &stderr); code != 0 {
		t.Fatalf("got exit code %d, want 0; stderr: %s", code, stderr.String())
	}
	want := `ok  	m/a	0.003s
?   	m/c	[no test files]
# m/e
e_test.go:2:13: undefined: x
FAIL	m/e [build failed]
go: a word of the go command
    b_test.go:3: bad thing
--- FAIL: TestBad (0.00s)
panic: test timed out after 1s
FAIL	m/b	0.005s
{"Action":"output","Package":"m/z","Output":"cut sh`
	if diff := cmp.Diff(want, stdout.String()); diff != "" {
		t.Errorf("view (-want +got):\n%s", diff)
	}
	copied, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(copied) != events {
		t.Errorf("the copy is not what came in: %q", copied)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"-follow", "a", "b"}, {"-nonsense"}, {"no/such/file"}} {
		var stdout, stderr strings.Builder
		if code := run(args, strings.NewReader(""), &stdout, &stderr); code != 2 || stderr.Len() == 0 {
			t.Errorf("%q: got exit code %d and %q on stderr, want 2 and a reason", args, code, stderr.String())
		}
	}
}
