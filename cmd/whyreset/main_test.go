package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

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
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true})
}
