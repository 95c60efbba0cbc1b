package house

import (
	"fmt"
	"go/ast"
	"go/build"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Two systems stand for "where it runs" and "where it must still build". CI vets the tree for the second one, which
// shows that every name used there exists; here it is shown that every name offered on Linux exists, used or not.
var (
	linux  = build.Context{GOOS: "linux", GOARCH: "amd64", Compiler: "gc", CgoEnabled: true}
	darwin = build.Context{GOOS: "darwin", GOARCH: "arm64", Compiler: "gc"}
)

func platformFaults(t testing.TB, root string) []string {
	var faults []string
	for _, r := range readRooms(t, root) {
		dir := filepath.Join(root, filepath.FromSlash(r.dir))
		var there []string               // exported names on darwin
		missing := map[string][]string{} // Linux-only file to its exported names
		for _, file := range r.files {
			if file.test {
				continue
			}
			onLinux, onDarwin := match(t, linux, dir, file.name), match(t, darwin, dir, file.name)
			at := r.dir + "/" + file.name
			switch {
			case onDarwin:
				there = append(there, exported(file.ast)...)
			case onLinux:
				missing[at] = exported(file.ast)
			}
			base := strings.TrimSuffix(file.name, ".go")
			switch {
			case onLinux && !onDarwin && !strings.HasSuffix(base, "_linux") && !strings.Contains(base, "_linux_"):
				faults = append(faults, at+" is built on Linux only: name it ..._linux.go")
			case onDarwin && !onLinux && !strings.HasSuffix(base, "_other"):
				faults = append(faults, at+" is built where Linux is not: name it ..._other.go")
			}
			if onDarwin && slices.ContainsFunc(file.imports(), func(p string) bool { return within(p, "golang.org/x/sys") }) {
				faults = append(faults, at+" imports x/sys and is built on every system: make it a pair, ..._linux.go and ..._other.go")
			}
		}
		for _, at := range slices.Sorted(maps.Keys(missing)) {
			lone := slices.DeleteFunc(missing[at], func(name string) bool { return slices.Contains(there, name) })
			if len(lone) > 0 {
				faults = append(faults, fmt.Sprintf("%s offers %s, and no ..._other.go beside it does", at, strings.Join(lone, ", ")))
			}
		}
	}
	return faults
}

func match(t testing.TB, system build.Context, dir, name string) bool {
	t.Helper()
	ok, err := system.MatchFile(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// exported lists what a file offers to other packages: functions, types, constants, variables, and methods as
// "Type.Method".
func exported(file *ast.File) (names []string) {
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if name := receiver(decl) + decl.Name.Name; decl.Name.IsExported() && ast.IsExported(name) {
				names = append(names, name)
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, spec.Name.Name)
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return !ast.IsExported(name) })
}

// receiver returns "Type." for a method and nothing for a function.
func receiver(decl *ast.FuncDecl) string {
	if decl.Recv == nil {
		return ""
	}
	expr := decl.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name + "."
		default:
			return ""
		}
	}
}

func TestPlatformPairs(t *testing.T) {
	report(t, platformFaults(t, moduleRoot(t)))
}

func TestPlatformPairsNoticesBreaches(t *testing.T) {
	const sys = "import _ \"golang.org/x/sys/unix\"\n"
	tryBreaches(t, []breach{
		{name: "a pair", files: map[string]string{
			"k/sock_linux.go": "package k\n" + sys + "type S[T any] struct{}\nfunc (*S[T]) Close() {}\nfunc (s) Close() {}\ntype s int\nfunc F() {}\nconst A, b = 1, 2\n",
			"k/sock_other.go": "//go:build !linux\n\npackage k\ntype S[T any] struct{}\nfunc (S[T]) Close() {}\nfunc F() {}\n",
			"k/both.go":       "package k\nvar A = 1\n",
			"k/a_test.go":     "//go:build linux\n\npackage k\n" + sys + "func G() {}\n",
		}},
		{name: "no twin", files: map[string]string{
			"k/sock_linux.go": "package k\nfunc F() {}\n",
		}, want: []string{"k/sock_linux.go offers F, and no"}},
		{name: "a method short", files: map[string]string{
			"k/sock_linux.go": "package k\ntype S struct{}\nfunc (*S) Close() {}\nvar V int\n",
			"k/sock_other.go": "//go:build !linux\n\npackage k\ntype S struct{}\nvar V int\n",
		}, want: []string{"offers S.Close"}},
		{name: "x/sys everywhere", files: map[string]string{
			"k/sock.go": "package k\n" + sys,
		}, want: []string{"make it a pair"}},
		{name: "names that hide it", files: map[string]string{
			"k/epoll.go": "//go:build linux\n\npackage k\n",
			"k/stub.go":  "//go:build !linux\n\npackage k\n",
		}, want: []string{"k/epoll.go is built on Linux only", "k/stub.go is built where Linux is not"}},
	}, platformFaults)
}
