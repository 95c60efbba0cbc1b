package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each file in testdata/wrong shows one way to be wrong; the messages expected
// stand beside it.
func TestWrongFiles(t *testing.T) {
	t.Chdir("testdata/wrong")
	for _, name := range yamlFiles(t) {
		t.Run(name, func(t *testing.T) {
			cfg, _, err := load(Source{File: name + ".yaml"}, nowhere, everything)
			if err == nil {
				t.Fatalf("got no error and\n%swant a refusal", Show(cfg, nil, false))
			}
			golden(t, name+".want", lines(err))
		})
	}
}

// Each file in testdata/right is read into what stands beside it, and that, read
// again, into the same.
func TestRightFiles(t *testing.T) {
	t.Chdir("testdata/right")
	for _, name := range yamlFiles(t) {
		t.Run(name, func(t *testing.T) {
			cfg, origins, err := load(Source{File: name + ".yaml"}, nowhere, everything)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".want", Show(cfg, origins, true))
			if t.Failed() || *update {
				return
			}
			again, _, err := load(Source{File: name + ".want"}, nowhere, everything)
			if err != nil {
				t.Fatal(err)
			}
			sameText(t, Show(again, nil, false), Show(cfg, nil, false))
		})
	}
}

// yamlFiles lists the *.yaml here, without ending. A *.want without its file is
// a leftover.
func yamlFiles(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, ending := range []string{".yaml", ".want"} {
		files, err := filepath.Glob("*" + ending)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			name := strings.TrimSuffix(file, ending)
			if ending == ".yaml" {
				names = append(names, name)
			} else if _, err := os.Stat(name + ".yaml"); err != nil {
				t.Errorf("got %s without its file: %v", file, err)
			}
		}
	}
	if len(names) == 0 {
		t.Fatal("got no files, want some")
	}
	return names
}

// What is not built is refused by name, in whatever source it stands.
func TestNotBuilt(t *testing.T) {
	only := supported{modes: []Mode{ModeForward}, sources: []SourceAddr{SourceOwn}}
	_, _, err := load(Source{File: "testdata/not_built.yaml", Env: []string{"WHYRESET_LIMITS_CONNECTIONS=5"}}, nowhere, only)
	golden(t, "testdata/not_built.want", lines(err))
	if _, _, err := load(Source{File: "testdata/not_built.yaml"}, nowhere, everything); err != nil {
		t.Errorf("got %v where everything is built, want no error", err)
	}
}

func TestUnreadableFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	large := write("large", strings.Repeat("#", maxFile+1))
	most := write("most", strings.Repeat("#", maxFile))
	broken := write("broken", strings.Repeat("#\n", 500)+"log:\n\tformat: json\n")
	missing := filepath.Join(dir, "missing")
	for _, test := range []struct {
		name, named, byDefault, want string
	}{
		{name: "the default is missing", byDefault: missing},
		{name: "a named one is missing", named: missing, want: missing + ": cannot be read: no such file or directory"},
		{name: "a folder", named: dir, want: dir + ": cannot be read: is a directory"},
		{name: "the default is a folder", byDefault: dir, want: dir + ": cannot be read: is a directory"},
		{name: "below a file", byDefault: most + "/x", want: most + "/x: cannot be read: not a directory"},
		{name: "too large", named: large, want: large + ": cannot be read: larger than 1024 kB, which no configuration is"},
		{name: "as large as allowed", named: most},
		{name: "too long for us to find the line", named: broken, want: broken + ":502: is not YAML: found character that cannot start any token"},
	} {
		t.Run(test.name, func(t *testing.T) {
			// That listeners are missing is not known when the file could not be read.
			src := Source{File: test.named, NeedListeners: test.want != ""}
			_, _, err := load(src, test.byDefault, everything)
			if got := strings.TrimSuffix(lines(err), "\n"); got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
		})
	}
}
