package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"whyreset/proxy/rules"
)

// update rewrites what sessions compare with: go test ./cmd/whyreset -update.
var update = flag.Bool("update", false, "rewrite the files that sessions compare with")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"whyreset": func() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// The command line as a person meets it: each file of testdata is a session.
func TestCommandLine(t *testing.T) {
	if files, _ := filepath.Glob("testdata/*.txtar"); len(files) < 6 {
		t.Fatalf("got %d sessions, want them all", len(files))
	}
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true, UpdateScripts: *update, Setup: holdPort, Condition: condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"capture": makeCapture, "records": makeRecords}})
}

// holdPort gives a session an address that is taken.
func holdPort(env *testscript.Env) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	env.Setenv("TAKEN", ln.Addr().String())
	env.Defer(func() { ln.Close() })
	return nil
}

// condition: reserved is that port 1 is not for this user, admin that packet rules are.
func condition(name string) (bool, error) {
	switch name {
	case "reserved":
	case "admin":
		return rules.Allowed() == nil, nil
	default:
		return false, fmt.Errorf("there is no condition %q", name)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:1")
	if err == nil {
		ln.Close()
	}
	return errors.Is(err, fs.ErrPermission), nil
}
