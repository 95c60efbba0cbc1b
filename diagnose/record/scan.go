package record

import (
	"fmt"
	"io"
)

// maxText bounds the text of one object, line or string that is looked at; what is longer is passed over.
const maxText = 1 << 20

// maxDepth bounds how deep arrays and objects may be nested.
const maxDepth = 200

// scanner cuts a stream into the texts that may be a record, without holding more of it than one of them. It knows of JSON
// just enough for that: what is inside a text is left to a parser.
type scanner struct {
	in     io.Reader
	inErr  error // of in: told when the buffer is used up
	buffer []byte
	next   int // in buffer: the next byte
	position

	open []opened
	text []byte // of the open objects, without the containers in them, one behind the other
	nest []byte // closing brackets due in a value that is taken as it is

	fresh bool // the next byte is the first of its line but for blanks
	rest  bool // the next line is the rest of one that was told of already
	mine  bool // something of whyreset was in what is open
}

type position struct {
	line   int   // of the next byte, from 1
	offset int64 // of the next byte
}

// opened is an object or array that is looked into.
type opened struct {
	at        position
	start     int  // of an object's text in scanner.text
	object    bool // else an array
	after     bool // a value was read: a comma or the end must follow
	container bool // it has something in it that was looked into
	strings   bool // an array that has texts in it, or numbers
	quiet     bool // what is in it need not be a line of anybody
	long      bool // more than maxText
}

// unit is a text that may be a record, or carry one.
type unit struct {
	at     position
	kind   unitKind
	text   []byte // good until the next one is asked for
	quiet  bool   // it need not be a line of anybody
	long   bool   // text is only its beginning
	broken error  // text ends where it cannot be understood any more
	ours   bool   // of a broken one: it has to do with whyreset
}

type unitKind uint8

const (
	lineUnit   unitKind = iota
	objectUnit          // a JSON object
	stringUnit          // a JSON string, with its quotes
)

func newScanner(in io.Reader) scanner {
	return scanner{in: in, buffer: make([]byte, 0, 64<<10), position: position{line: 1}}
}

// unit gives the next text; io.EOF at the end.
func (s *scanner) unit() (unit, error) {
	for {
		u, found, err := s.step()
		bad, isSyntax := err.(*syntaxError) // made here, never wrapped
		switch {
		case isSyntax:
			return s.abandon(bad), nil
		case err == io.EOF && len(s.open) > 0:
			return s.abandon(&syntaxError{"the input ends before it does"}), nil
		case err != nil:
			return unit{}, err
		case found:
			s.mine = len(s.open) > 0 && (s.mine || ours(u.text))
			return u, nil
		}
	}
}

// syntaxError says that what is open is not JSON; the byte that shows it is the next one.
type syntaxError struct{ says string }

func (e *syntaxError) Error() string { return e.says }

// errNewLine tells of a line that was cut off before a value. Nobody lays JSON out that way, and the next line must not
// be taken for that value.
var errNewLine = &syntaxError{"the line ends where a value is due"}

// abandon gives what is open as broken. It may have been no JSON at all: what is left of the line is looked at as a line, and
// is the one that counts, unless what was broken is ours.
func (s *scanner) abandon(why *syntaxError) unit {
	top := s.open[len(s.open)-1]
	u := unit{at: top.at, kind: objectUnit, text: s.text[top.start:], broken: why}
	u.ours = s.mine || ours(u.text)
	if s.mine {
		u.at = s.open[0].at
	}
	s.open, s.mine = s.open[:0], false
	if c, err := s.peek(); err == nil && c != '\n' && !s.fresh {
		s.rest = u.ours
		u.quiet = !u.ours
	}
	return u
}

// step reads one thing: a bracket, a member, a line.
func (s *scanner) step() (u unit, found bool, err error) {
	c, err := s.significant()
	if err != nil {
		return u, false, err
	}
	at := s.position
	if len(s.open) == 0 {
		s.text = s.text[:0]
		switch c {
		case '{', '[':
			return u, false, s.push(c, at)
		case ',': // a piece cut out of an array
			s.advance(1)
			return u, false, nil
		}
		return s.takeLine(at)
	}
	top := &s.open[len(s.open)-1]
	switch {
	case c == closing(top.object):
		s.advance(1)
		return s.pop()
	case top.after && c == ',':
		s.advance(1)
		top.after = false
		s.keep(top, ',')
		if c, err = s.significant(); err != nil {
			return u, false, err
		}
		at = s.position
	case top.after:
		return u, false, &syntaxError{fmt.Sprintf("%q where a comma or %q is due", c, closing(top.object))}
	}
	top.after = true
	if top.object {
		return u, false, s.member(c, top)
	}
	switch c {
	case '{', '[':
		return u, false, s.push(c, at)
	case '"':
		top.long = false
		if err := s.string(top); err != nil {
			return u, false, err
		}
		u = unit{at: at, kind: stringUnit, text: s.text[top.start:], quiet: top.quiet, long: top.long}
		s.text = s.text[:top.start]
		top.strings, top.long = true, false
		return u, true, nil
	}
	top.strings = true
	return u, false, s.literal(top)
}

func closing(object bool) byte {
	if object {
		return '}'
	}
	return ']'
}

func (s *scanner) push(c byte, at position) error {
	if len(s.open) == maxDepth {
		return &syntaxError{fmt.Sprintf("more than %d levels deep", maxDepth)}
	}
	quiet := false
	if n := len(s.open); n > 0 {
		s.open[n-1].container = true
		quiet = s.open[n-1].quiet
	}
	s.advance(1)
	s.open = append(s.open, opened{at: at, start: len(s.text), object: c == '{', quiet: quiet})
	s.keep(&s.open[len(s.open)-1], c)
	return nil
}

// pop ends what is open. An object is a unit; its text stays until the next step overwrites it.
func (s *scanner) pop() (u unit, found bool, err error) {
	n := len(s.open) - 1
	l := s.open[n]
	s.open = s.open[:n]
	if l.object {
		s.keep(&l, '}')
		u = unit{at: l.at, kind: objectUnit, text: s.text[l.start:], quiet: l.container || l.quiet, long: l.long}
		if n > 0 {
			u.quiet = u.quiet || s.open[n-1].strings
		}
	}
	s.text = s.text[:l.start]
	return u, l.object, nil
}

// holders are the names of objects, and of arrays that may be empty, that hold others, in answers of Loki and Elasticsearch
// and in files of OpenTelemetry. Arrays with objects or arrays in them are looked into whatever their name, but what is found
// in others than these and is not of whyreset need not be a line of anybody.
var holders = map[string]bool{
	"data": true, "result": true, "values": true, "streams": true, "entries": true,
	"hits": true, "response": true, "rawResponse": true, "responses": true, "docs": true,
	"resourceLogs": true, "scopeLogs": true, "logRecords": true,
}

// null stands in the text of an object for what was looked into.
var null = []byte("null")

// member reads a name and its value.
func (s *scanner) member(c byte, top *opened) error {
	if c != '"' {
		return &syntaxError{fmt.Sprintf("%q where a name is due", c)}
	}
	start := len(s.text)
	if err := s.string(top); err != nil {
		return err
	}
	holder := len(s.text) > start+2 && holders[string(s.text[start+1:len(s.text)-1])]
	c, err := s.significant()
	if err != nil {
		return err
	}
	if c != ':' {
		return &syntaxError{fmt.Sprintf("%q where a colon is due", c)}
	}
	s.advance(1)
	s.keep(top, ':')
	if c, err = s.significant(); err != nil {
		return err
	}
	if s.fresh {
		return errNewLine
	}
	at := s.position
	switch c {
	case '"':
		return s.string(top)
	case '{':
		if !holder {
			return s.value(top)
		}
	case '[':
		if first, err := s.peekInside(); err != nil {
			return err
		} else if first != '{' && first != '[' && !holder {
			return s.value(top)
		}
	default:
		return s.literal(top)
	}
	s.take(top, null)
	if err := s.push(c, at); err != nil {
		return err
	}
	s.open[len(s.open)-1].quiet = !holder
	return nil
}
