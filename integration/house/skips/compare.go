package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// A lostTest was skipped in one run or more and did not run to its end in any. Without a name it stands for a whole
// package of tests, none of which began.
type lostTest struct {
	testID
	reasons []string // one for each run that skipped it, with the run's file before it
}

// compare reads the events of several runs of the same tests.
//
// A test counts as lost also when some run never came to it: a sub-test skipped here is not made good by its parent being
// skipped there.
func compare(files []string) ([]lostTest, error) {
	reasons := map[testID][]string{}
	ran := map[testID]bool{}
	for _, file := range files {
		if err := readRun(file, reasons, ran); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	var lost []lostTest
	for id, why := range reasons {
		if !ran[id] {
			lost = append(lost, lostTest{id, why})
		}
	}
	slices.SortFunc(lost, func(a, b lostTest) int {
		return cmp.Or(strings.Compare(a.pkg, b.pkg), strings.Compare(a.name, b.name))
	})
	return lost, nil
}

var errNoTests = errors.New("no test ran: is this the output of go test -json?")

func readRun(file string, reasons map[testID][]string, ran map[testID]bool) error {
	from, err := os.Open(file)
	if err != nil {
		return err
	}
	defer from.Close()
	said := map[testID][]string{}
	began := map[string]bool{} // packages in which a test began
	err = events(from, func(e event) error {
		id := testID{e.Package, e.Test}
		whole := testID{pkg: e.Package}
		switch {
		case e.Action == "output":
			said[id] = append(said[id], e.Output)
		case e.Test == "" && e.Action == "pass" && !began[e.Package]:
			reasons[whole] = append(reasons[whole], file+": no test in it began")
		case e.Test == "": // "skip" here means that the package has no test files
		case e.Action == "skip":
			began[e.Package], ran[whole] = true, true
			reasons[id] = append(reasons[id], file+": "+reason(said[id]))
		case e.Action == "pass", e.Action == "fail":
			began[e.Package], ran[whole] = true, true
			ran[id] = true
		}
		return nil
	})
	if err == nil && len(began) == 0 {
		return errNoTests
	}
	return err
}

// spoken matches where the testing package says who speaks: "    name_test.go:12: ".
var spoken = regexp.MustCompile(`^\s+[^\s:]+\.go:\d+: `)

// reason returns what a skipped test said last, which is why.
func reason(output []string) string {
	var words []string
	for _, line := range output {
		bare := strings.TrimSpace(line)
		if strings.HasPrefix(bare, "=== ") || strings.HasPrefix(bare, "--- ") {
			continue
		}
		if spoken.MatchString(line) {
			words = nil
		}
		if bare != "" {
			words = append(words, bare)
		}
	}
	return cmp.Or(strings.Join(words, " "), "no reason given")
}
