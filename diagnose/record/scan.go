package record

import (
	"bytes"
	"errors"
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

	begun int64 // where the line begins
	fresh bool  // the next byte is the first of its line but for blanks
	rest  bool  // the next line is the rest of one that was told of already
	mine  bool  // something of whyreset was in what is open
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
		var bad *syntaxError
		switch {
		case errors.As(err, &bad):
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
		if c == '{' || c == '[' {
			s.push(c, at)
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
		s.keep(top, ",")
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
		u = unit{at: at, kind: stringUnit, text: s.text[top.start:], long: top.long}
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
	if n := len(s.open); n > 0 {
		s.open[n-1].container = true
	}
	s.advance(1)
	s.open = append(s.open, opened{at: at, start: len(s.text), object: c == '{'})
	s.keep(&s.open[len(s.open)-1], string(c))
	return nil
}

// pop ends what is open. An object is a unit; its text stays until the next step overwrites it.
func (s *scanner) pop() (u unit, found bool, err error) {
	n := len(s.open) - 1
	l := s.open[n]
	s.open = s.open[:n]
	if l.object {
		s.keep(&l, "}")
		u = unit{at: l.at, kind: objectUnit, text: s.text[l.start:], quiet: l.container, long: l.long}
		if n > 0 {
			u.quiet = u.quiet || s.open[n-1].strings
		}
	}
	s.text = s.text[:l.start]
	return u, l.object, nil
}

// holders are the names of objects, and of arrays that may be empty, that hold others: in answers of Loki (data, values) and
// Elasticsearch. Of arrays with objects or arrays in them the name does not matter.
var holders = map[string]bool{"data": true, "values": true, "hits": true, "response": true, "rawResponse": true}

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
	s.keep(top, ":")
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
	top.container = true
	s.keep(top, "null")
	return s.push(c, at)
}

// significant gives the next byte that is no blank, without taking it.
func (s *scanner) significant() (byte, error) {
	for {
		for s.next < len(s.buffer) {
			switch c := s.buffer[s.next]; c {
			case '\n':
				s.advance(1)
				s.line++
				s.begun, s.fresh, s.rest = s.offset, true, false
			case ' ', '\t', '\r':
				s.advance(1)
			default:
				return c, nil
			}
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
}

// advance takes n bytes that are in the buffer.
func (s *scanner) advance(n int) {
	if c := s.buffer[s.next]; c > ' ' {
		s.fresh = false
	}
	s.next += n
	s.offset += int64(n)
}

// fill reads more behind what is in the buffer and not taken.
func (s *scanner) fill() error {
	if s.next > 0 {
		s.buffer = s.buffer[:copy(s.buffer[:cap(s.buffer)], s.buffer[s.next:])]
		s.next = 0
	}
	for s.inErr == nil {
		n, err := s.in.Read(s.buffer[len(s.buffer):cap(s.buffer)])
		s.buffer, s.inErr = s.buffer[:len(s.buffer)+n], err
		if n > 0 {
			return nil
		}
	}
	return s.inErr
}

// peek gives the next byte.
func (s *scanner) peek() (byte, error) {
	if s.next == len(s.buffer) {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	return s.buffer[s.next], nil
}

// atRecord says that a record begins at the next byte.
func (s *scanner) atRecord() bool {
	for len(s.buffer)-s.next < len(begins) {
		if s.fill() != nil {
			return false
		}
	}
	return bytes.HasPrefix(s.buffer[s.next:], begins)
}

// peekInside gives the first byte behind the bracket that is the next one; zero when it stands too far away.
func (s *scanner) peekInside() (byte, error) {
	for i := 1; i < 4096; i++ {
		if s.next+i >= len(s.buffer) {
			if err := s.fill(); err != nil {
				return 0, err
			}
		}
		if c := s.buffer[s.next+i]; c > ' ' {
			return c, nil
		}
	}
	return 0, nil
}

// take adds to the text of l, as far as there is room.
func (s *scanner) take(l *opened, text []byte) {
	if room := maxText - len(s.text); len(text) > room {
		text, l.long = text[:max(0, room)], true
	}
	s.text = append(s.text, text...)
}

// keep adds to the text of an object: that of an array is of no use.
func (s *scanner) keep(l *opened, text string) {
	if !l.object {
		return
	}
	if l.long = l.long || len(s.text) >= maxText; !l.long {
		s.text = append(s.text, text...)
	}
}

// string takes a string, which is the next thing.
func (s *scanner) string(l *opened) error {
	from, escaped := s.next, false
	s.advance(1)
	for {
		for i, c := range s.buffer[s.next:] {
			switch {
			case escaped:
				escaped = false
			case c == '\\':
				escaped = true
			case c == '"':
				s.advance(i + 1)
				s.take(l, s.buffer[from:s.next])
				return nil
			}
			if c == '\n' {
				s.advance(i)
				s.take(l, s.buffer[from:s.next])
				return &syntaxError{"the line ends within a text"}
			}
		}
		s.offset += int64(len(s.buffer) - s.next)
		s.next = len(s.buffer)
		s.take(l, s.buffer[from:])
		if err := s.fill(); err != nil {
			return err
		}
		from = 0
	}
}

// literal takes a number, true, false or null.
func (s *scanner) literal(l *opened) error {
	for first := true; ; first = false {
		c, err := s.peek()
		if err != nil {
			return err
		}
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', c == '-', !first && (c == '+' || c == '.' || c == 'E'):
			if first && 'a' <= c && c != 't' && c != 'f' && c != 'n' {
				return &syntaxError{fmt.Sprintf("%q where a value is due", c)}
			}
			s.keep(l, string(rune(c)))
			s.advance(1)
		case first:
			return &syntaxError{fmt.Sprintf("%q where a value is due", c)}
		default:
			return nil
		}
	}
}

// value takes an object or array as it is, which is the next thing. It is only looked at as a whole, but its brackets must
// match, so that a line that was cut off does not swallow the next one.
func (s *scanner) value(l *opened) error {
	s.nest = s.nest[:0]
	const (
		start = iota // a value, or the end
		name         // a name; of an object
		nameOrEnd
		item // a value
		behind
	)
	state := item
	for {
		c, err := s.significant()
		if err != nil {
			return err
		}
		inObject := len(s.nest) > 0 && s.nest[len(s.nest)-1] == '}'
		switch {
		case state == behind && c == ',':
			s.keep(l, ",")
			s.advance(1)
			if state = item; inObject {
				state = name
			}
			continue
		case (state == behind || state == start || state == nameOrEnd) && len(s.nest) > 0 && c == s.nest[len(s.nest)-1]:
			s.keep(l, string(rune(c)))
			s.advance(1)
			s.nest = s.nest[:len(s.nest)-1]
			if len(s.nest) == 0 {
				return nil
			}
			state = behind
			continue
		case state == behind:
			return &syntaxError{fmt.Sprintf("%q where a comma or a bracket is due", c)}
		case state == name || state == nameOrEnd:
			if c != '"' {
				return &syntaxError{fmt.Sprintf("%q where a name is due", c)}
			}
			if err := s.string(l); err != nil {
				return err
			}
			if c, err = s.significant(); err != nil {
				return err
			}
			if c != ':' {
				return &syntaxError{fmt.Sprintf("%q where a colon is due", c)}
			}
			s.keep(l, ":")
			s.advance(1)
			state = item
			continue
		}
		if s.fresh && (inObject || s.atRecord()) {
			return errNewLine
		}
		state = behind
		switch c {
		case '{', '[':
			if len(s.nest)+len(s.open) == maxDepth {
				return &syntaxError{fmt.Sprintf("more than %d levels deep", maxDepth)}
			}
			state = start
			if c == '{' {
				state = nameOrEnd
			}
			s.nest = append(s.nest, c+2) // '{' and '}', '[' and ']' are two apart
			s.keep(l, string(rune(c)))
			s.advance(1)
		case '"':
			err = s.string(l)
		default:
			err = s.literal(l)
		}
		if err != nil {
			return err
		}
	}
}

// takeLine takes the rest of the line.
func (s *scanner) takeLine(at position) (unit, bool, error) {
	l := opened{start: len(s.text)}
	u := unit{at: at, kind: lineUnit, quiet: s.rest}
	for {
		if i := bytes.IndexByte(s.buffer[s.next:], '\n'); i >= 0 {
			s.take(&l, s.buffer[s.next:s.next+i])
			s.advance(i) // the newline is counted where blanks are
			break
		}
		s.take(&l, s.buffer[s.next:])
		s.offset += int64(len(s.buffer) - s.next)
		s.next = len(s.buffer)
		if err := s.fill(); err == io.EOF {
			break
		} else if err != nil {
			return u, false, err
		}
	}
	u.text, u.long = s.text[l.start:], l.long
	return u, true, nil
}
