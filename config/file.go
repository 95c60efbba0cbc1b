package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// DefaultPath is the file that is read when none is named; it need not exist.
const DefaultPath = "/etc/whyreset/whyreset.yaml"

// maxFile bounds what is read: the largest sensible file is a thousandth of it,
// and a path given by mistake may be a device without end.
const maxFile = 1 << 20

// readFile reads the file at path. A file that nobody named may be missing.
func readFile(path string, named bool, s supported) *layer {
	l := newLayer()
	data, err := readBounded(path)
	if err == nil {
		parseFile(l, path, data, s)
		return l
	}
	if !named && errors.Is(err, os.ErrNotExist) {
		return l
	}
	l.unread = true
	var pe *os.PathError
	if errors.As(err, &pe) {
		err = pe.Err // the path is said already
	}
	l.fail(Origin{Kind: FromFile, Name: path}, "", nil, &fault{what: "cannot be read: " + err.Error()})
	return l
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("larger than %d kB, which no configuration is", maxFile>>10)
	}
	return data, err
}

// parseFile reads YAML strictly. It walks the nodes itself, because decoding
// into the struct or into viper loses what matters here: viper takes unknown
// keys with null or empty values in silence and lower-cases every key, so that
// "Port" and "port" are one; the decoder stops at the first repeated key, turns
// 010 into 8, and ignores a second document.
func parseFile(l *layer, name string, data []byte, s supported) {
	w := walker{layer: l, name: name, supported: s}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if !errors.Is(err, io.EOF) { // an empty file is an empty configuration
			w.syntax(err, data)
		}
		return
	}
	if root := doc.Content[0]; !isNull(root) {
		w.section(root, root.Line, "", rootFields())
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		l.fail(w.at(second.Line), "", nil, &fault{what: "a second document (---) begins here", allowed: "one document in a file"})
	case !errors.Is(err, io.EOF):
		w.syntax(err, data)
	}
}

// walker goes through the nodes of one file beside the fields of the struct.
type walker struct {
	*layer
	name      string
	supported supported
}

func (w walker) at(line int) Origin { return Origin{Kind: FromFile, Name: w.name, Line: line} }

// section reads a mapping whose keys are fields.
func (w walker) section(n *yaml.Node, line int, path string, fields []field) {
	prefix := path
	if prefix != "" {
		prefix += "."
	}
	if n.Kind != yaml.MappingNode || n.Style&yaml.TaggedStyle != 0 {
		w.wrongShape(n, line, path, "keys below it: "+strings.Join(keysOf(fields), ", "))
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			w.fail(w.at(key.Line), path, nil, &fault{what: "has a key that is not a word", allowed: strings.Join(keysOf(fields), ", ")})
			continue
		}
		f, known := find(fields, key.Value)
		switch {
		case !known:
			w.unknown(key, prefix, fields)
		case first[key.Value] != 0:
			w.fail(w.at(key.Line), prefix+key.Value, nil, &fault{what: fmt.Sprintf("is given twice, first in line %d", first[key.Value])})
		default:
			first[key.Value] = key.Line
			// Below a list the path of the schema has [] where that of the value has the index.
			w.value(value, key.Line, prefix+f.key, f)
		}
	}
}

func (w walker) value(n *yaml.Node, line int, path string, f field) {
	switch f.kind {
	case kindSection:
		if isNull(n) { // all its keys are commented out
			return
		}
		w.section(n, line, path, fieldsOf(f.typ, f.path+"."))
	case kindList:
		w.list(n, line)
	default:
		if v, ok := w.scalar(n, line, path, f); ok {
			w.values[path] = v
			w.origins[path] = w.at(line)
		}
	}
}

// list reads the listeners.
func (w walker) list(n *yaml.Node, line int) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode || n.Style&yaml.TaggedStyle != 0 {
		w.wrongShape(n, line, "listeners", `a list, each listener beginning with "- "`)
		return
	}
	for i, item := range n.Content {
		path := listenerPath(i, "")
		w.origins[path] = w.at(item.Line)
		w.listeners = append(w.listeners, w.listener(item, path))
	}
}

func (w walker) listener(n *yaml.Node, path string) map[string]any {
	// The item is walked like a section into a layer of its own, so that its
	// values come out by key.
	own := newLayer()
	walker{layer: own, name: w.name, supported: w.supported}.section(n, n.Line, path, listenerFields())
	w.problems = append(w.problems, own.problems...)
	item := map[string]any{}
	for p, v := range own.values {
		item[strings.TrimPrefix(p, path+".")] = v
		w.origins[p] = own.origins[p]
	}
	return item
}

// scalar reads one value. The YAML type must be the one the key wants: a number
// in quotes and an unquoted number for a name are both slips worth telling.
func (w walker) scalar(n *yaml.Node, line int, path string, f field) (any, bool) {
	if n.Kind != yaml.ScalarNode || n.Style&yaml.TaggedStyle != 0 {
		w.wrongShape(n, line, path, allowed(f))
		return nil, false
	}
	if isNull(n) {
		w.fail(w.at(line), path, nil, &fault{what: "has no value", allowed: allowed(f) + " (or leave the key out)"})
		return nil, false
	}
	value, bad := parse(f, n.Value)
	if bad == nil {
		bad = check(f, value, w.supported)
	}
	if bad == nil {
		bad = wrongTag(n, f)
	}
	if bad != nil {
		w.fail(w.at(line), path, &n.Value, bad)
		return nil, false
	}
	return value, true
}

// wrongTag says what is wrong with the YAML type of a value whose text is good.
// Words and durations are read from their text, whatever YAML takes it for.
func wrongTag(n *yaml.Node, f field) *fault {
	tag := n.ShortTag()
	switch f.kind {
	case kindText:
		if tag == "!!str" || f.path == "listeners[].ports" { // a single port needs no quotes
			return nil
		}
		what := map[string]string{"!!int": "a number", "!!float": "a number", "!!bool": "a truth value", "!!timestamp": "a date"}[tag]
		return &fault{what: "is " + what + " where text must stand", allowed: allowed(f), suggest: strconv.Quote(n.Value) + ", in quotes"}
	case kindCount, kindRatio, kindMark:
		if tag == "!!str" {
			return &fault{what: "is in quotes where a number must stand", allowed: allowed(f)}
		}
	}
	return nil
}

func (w walker) wrongShape(n *yaml.Node, line int, path, want string) {
	what := "is a single value"
	switch {
	case n.Style&yaml.TaggedStyle != 0:
		what = "has a tag (" + printable(n.ShortTag()) + "), which is not read here"
	case n.Kind == yaml.MappingNode:
		what = "is a section"
	case n.Kind == yaml.SequenceNode:
		what = "is a list"
	case n.Kind == yaml.AliasNode:
		what = "is an alias, which is not followed here"
	case isNull(n):
		what = "is empty"
	}
	if path == "" {
		what = "the file " + what
	}
	var value *string
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		value = &n.Value
	}
	if path == "" {
		value = nil
	}
	w.fail(w.at(line), path, value, &fault{what: what, allowed: want})
}

func (w walker) unknown(key *yaml.Node, prefix string, fields []field) {
	bad := &fault{what: "unknown key", allowed: strings.Join(keysOf(fields), ", ")}
	if key.Tag == "!!merge" {
		bad.what = "merging (<<) is not done here"
	} else if s := nearest(key.Value, keysOf(fields)); s != "" {
		bad.suggest = prefix + s
	} else {
		bad.suggest = elsewhere(key.Value)
	}
	name := key.Value
	if len(name) > 60 {
		name = name[:60] + "…"
	}
	w.fail(w.at(key.Line), prefix+name, nil, bad)
}

// elsewhere finds a key that stands under another section, or that was written
// with dots instead of nested.
func elsewhere(key string) string {
	for _, s := range scalars(Defaults()) {
		section, leaf, _ := strings.Cut(s.path, ".")
		if key == s.path {
			return section + ": {" + leaf + ": …}"
		}
		if squash(key) == squash(leaf) {
			return s.path
		}
	}
	return ""
}

func find(fields []field, key string) (field, bool) {
	for _, f := range fields {
		if f.key == key {
			return f, true
		}
	}
	return field{}, false
}

func keysOf(fields []field) []string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	return keys
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}
