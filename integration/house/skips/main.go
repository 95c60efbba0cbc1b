// Command skips keeps tests from being skipped everywhere. CI runs the tests once as root and once as an ordinary user;
// a test that one of them cannot run is skipped there with a reason, and one that neither ran would be a test in name
// only.
//
//	go test -json ./... | skips -follow FILE   copy the events to FILE, and show what go test would have shown
//	skips FILE...                              exit 1 if a test was skipped in one run and passed in none
//
// It judges skips alone: that a test failed is told by go test.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("skips", flag.ContinueOnError)
	flags.SetOutput(stderr)
	follow := flags.String("follow", "", "copy the test events on standard input to this `file` while showing them")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if (*follow == "") == (flags.NArg() == 0) {
		fmt.Fprintln(stderr, "skips: give either -follow FILE or the files to compare")
		return 2
	}
	if *follow != "" {
		if err := copyTo(*follow, stdin, stdout); err != nil {
			fmt.Fprintln(stderr, "skips:", err)
			return 2
		}
		return 0
	}
	lost, err := compare(flags.Args())
	if err != nil {
		fmt.Fprintln(stderr, "skips:", err)
		return 2
	}
	for _, test := range lost {
		fmt.Fprintf(stdout, "%s ran nowhere\n", strings.TrimSpace(test.pkg+" "+test.name))
		for _, reason := range test.reasons {
			fmt.Fprintf(stdout, "    %s\n", reason)
		}
	}
	if len(lost) > 0 {
		return 1
	}
	return 0
}

func copyTo(file string, from io.Reader, view io.Writer) error {
	to, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := show(io.TeeReader(from, to), view); err != nil {
		to.Close()
		return err
	}
	return to.Close()
}
