// Command whyreset is a transparent TCP proxy that says who reset a connection and why.
//
// This package is the command line: it reads what the user wants, starts the parts and says what went
// wrong. What the parts do stands in their packages.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"whyreset/config"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1 // it was tried and did not work
	exitUsage   = 2 // the command line or the configuration is wrong: nothing was tried
)

// run is the program without the process around it.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(context.Background())
	var done exitStatus
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &done):
		return int(done)
	}
	complain(stderr, err)
	var usage *usageError
	var cfg *config.Error
	if errors.As(err, &usage) || errors.As(err, &cfg) {
		return exitUsage
	}
	return exitFailure
}

// complain writes an error and what to do about it.
func complain(w io.Writer, err error) {
	var cfg *config.Error
	if errors.As(err, &cfg) {
		for _, p := range cfg.Problems {
			fmt.Fprintf(w, "whyreset: %s\n", p)
		}
		return
	}
	for _, line := range strings.Split(strings.TrimRight(err.Error(), "\n"), "\n") {
		if line != "" {
			fmt.Fprintf(w, "whyreset: %s\n", line)
		}
	}
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		if hint := hinted.Hint(); hint != "" {
			fmt.Fprintf(w, "  %s\n", hint)
		}
	}
}

// usageError is a command line that cannot be understood.
type usageError struct {
	err     error
	command string // whose help to read
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }
func (e *usageError) Hint() string  { return "see: " + e.command + " --help" }

func usage(cmd *cobra.Command, err error) error {
	return &usageError{err: err, command: cmd.CommandPath()}
}

// arguments makes a wrong number of arguments a usage error.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usage(cmd, err)
		}
		return nil
	}
}
