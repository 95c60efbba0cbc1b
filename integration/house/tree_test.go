package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "whyreset"

// A room is one directory that holds Go files.
type room struct {
	dir   string // slash-separated, relative to the module; "." for its root
	files []source
}

type source struct {
	name string // file name without directory
	test bool
	ast  *ast.File
}

// imports returns the import paths of the file, as they stand there.
func (s source) imports() []string {
	var paths []string
	for _, spec := range s.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

// moduleRoot walks up from the directory of the test to the nearest go.mod.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod in this directory or above it")
		}
		dir = up
	}
}

// readRooms parses every Go file of the module, whatever its build constraints say: a rule holds on systems other than
// the one that runs the test.
func readRooms(t testing.TB, root string) []room {
	t.Helper()
	rooms := map[string]*room{}
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if file != root && outsideModule(file, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_") {
			return nil
		}
		parsed, err := parser.ParseFile(fset, file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		dir := path.Dir(filepath.ToSlash(rel))
		if rooms[dir] == nil {
			rooms[dir] = &room{dir: dir}
		}
		rooms[dir].files = append(rooms[dir].files, source{
			name: d.Name(),
			test: strings.HasSuffix(file, "_test.go"),
			ast:  parsed,
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var list []room
	for _, r := range rooms {
		list = append(list, *r)
	}
	slices.SortFunc(list, func(a, b room) int { return strings.Compare(a.dir, b.dir) })
	return list
}

// outsideModule says whether the go command, too, would leave this directory out of the module.
func outsideModule(dir, name string) bool {
	if name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// within says whether dir is top or lies under it.
func within(dir, top string) bool {
	return dir == top || strings.HasPrefix(dir, top+"/")
}

// writeTree makes a module of the given files, for a rule to be tried on.
func writeTree(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// A breach is a small tree and what the rule has to say about it; no wanted words means that it must find nothing.
type breach struct {
	name  string
	files map[string]string
	want  []string
}

// tryBreaches runs a rule on trees that break it, and wants exactly one fault for each wanted text.
func tryBreaches(t *testing.T, breaches []breach, rule func(t testing.TB, root string) []string) {
	t.Helper()
	for _, b := range breaches {
		t.Run(b.name, func(t *testing.T) {
			got := rule(t, writeTree(t, b.files))
			if len(got) != len(b.want) {
				t.Fatalf("got %d faults %q, want %d", len(got), got, len(b.want))
			}
			for i, want := range b.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("got fault %q, want one with %q", got[i], want)
				}
			}
		})
	}
}

func report(t *testing.T, faults []string) {
	t.Helper()
	for _, fault := range faults {
		t.Error(fault)
	}
}
