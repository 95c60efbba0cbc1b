package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

var (
	yamlError = regexp.MustCompile(`(?s)^(?:yaml: )?(?:line ([0-9]+): )?(.*)$`)
	// bareBrackets is an IPv6 address without quotes, where YAML sees a list.
	bareBrackets = regexp.MustCompile(`: +(\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]:[0-9]+)`)
	tabIndent    = regexp.MustCompile(`^ *\t`)
)

// syntax notes that the text is not YAML. What the file would have said is
// then unknown.
func (w walker) syntax(err error, data []byte) {
	w.unread = true
	m := yamlError.FindStringSubmatch(err.Error())
	bad := &fault{what: "is not YAML: " + m[2]}
	line, text := brokenLine(data)
	if line == 0 {
		line, _ = strconv.Atoi(m[1]) // may be none
	}
	if tabIndent.Match(text) {
		bad.suggest = "spaces instead of the tab"
	} else if m := bareBrackets.FindSubmatch(text); m != nil {
		bad.suggest = strconv.Quote(string(m[1])) + ", in quotes"
	}
	w.fail(w.at(line), "", nil, bad)
}

// brokenLine finds the line, from 1, in which that begins which is not YAML: the
// one after the longest run of lines that is. The library names the line where
// the surrounding section begins, or the one before. As one run after the other
// is tried, files of unusual size are left to the library: the result is 0.
func brokenLine(data []byte) (line int, text []byte) {
	const mostBytes, mostLines = 16 << 10, 400
	all := bytes.SplitAfter(data, []byte("\n"))
	if len(data) > mostBytes || len(all) > mostLines {
		return 0, nil
	}
	rest := data
	for n := len(all); n > 0; n-- {
		rest = rest[:len(rest)-len(all[n-1])]
		if isYAML(rest) {
			return n, all[n-1]
		}
	}
	return 0, nil
}

func isYAML(data []byte) bool {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var n yaml.Node
		if err := dec.Decode(&n); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}
