package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// A lostTest was skipped in one run or more and did not run to its end in any.
type lostTest struct {
	testID
	reasons []string // one for each run that skipped it, with the run's name before it
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
	tests := 0
	err = events(from, func(e event) error {
		id := testID{e.Package, e.Test}
		switch {
		case e.Test == "":
		case e.Action == "output":
			if line := strings.TrimSpace(e.Output); line != "" && !frame(line) {
				said[id] = append(said[id], line)
			}
		case e.Action == "skip":
			tests++
			// The reason is what the test said last.
			why := "no reason given"
			if lines := said[id]; len(lines) > 0 {
				why = lines[len(lines)-1]
			}
			reasons[id] = append(reasons[id], fmt.Sprintf("%s: %s", file, why))
		case e.Action == "pass", e.Action == "fail":
			tests++
			ran[id] = true
		}
		return nil
	})
	if err == nil && tests == 0 {
		return errNoTests
	}
	return err
}

// frame says whether a line comes from the testing package and not from the test: "=== RUN", "--- SKIP".
func frame(line string) bool {
	line = strings.TrimLeft(line, " ")
	return strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ")
}

