package main

import (
	"fmt"
	"io"
	"strings"
)

// show writes what plain go test would: a line for each package, and all that the tests said which failed.
func show(from io.Reader, view io.Writer) error {
	said := map[testID][]string{}
	order := map[string][]testID{} // tests of a package that are not known to be well, as they began
	return events(from, func(e event) error {
		id := testID{e.Package, e.Test}
		switch {
		case e.Package == "": // the compiler, or no event
			_, err := io.WriteString(view, e.Output)
			return err
		case e.Action == "output":
			if said[id] == nil {
				order[e.Package] = append(order[e.Package], id)
			}
			said[id] = append(said[id], e.Output)
		case e.Test != "" && (e.Action == "pass" || e.Action == "skip"):
			said[id] = []string{}
		case e.Test != "":
		case e.Action == "pass", e.Action == "skip":
			// Only its closing line: "ok", or "?" for a package without tests.
			lines := said[testID{e.Package, ""}]
			forget(said, order, e.Package)
			if len(lines) == 0 {
				return nil
			}
			_, err := io.WriteString(view, lines[len(lines)-1])
			return err
		case e.Action == "fail":
			// The package's own words close it, so they come last.
			var own strings.Builder
			for _, id := range order[e.Package] {
				for _, line := range said[id] {
					switch {
					case strings.HasPrefix(line, "=== "):
					case id.name == "":
						own.WriteString(line)
					default:
						if _, err := io.WriteString(view, line); err != nil {
							return err
						}
					}
				}
			}
			forget(said, order, e.Package)
			_, err := fmt.Fprint(view, own.String())
			return err
		}
		return nil
	})
}

// forget drops what is held of a package when it has ended; a long run has many.
func forget(said map[testID][]string, order map[string][]testID, pkg string) {
	for _, id := range order[pkg] {
		delete(said, id)
	}
	delete(order, pkg)
}
