package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
)

// An event is one line of go test -json; its form is told by "go doc test2json".
type event struct {
	Action     string
	Package    string
	Test       string // empty for what concerns the package
	Output     string
	ImportPath string // of what did not build
}

// A testID names a test in all packages; sub-tests have their parents' names before theirs.
type testID struct {
	pkg, name string
}

// events calls each for every event of a stream. What is no event, such as a complaint of the go command, comes as the
// output of no package.
func events(from io.Reader, each func(event) error) error {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil || e.Action == "" {
				e = event{Action: "output", Output: string(line)}
			}
			if err := each(e); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
