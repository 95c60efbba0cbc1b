package record

import (
	"bytes"
	"fmt"
	"io"
)

// significant gives the next byte that is no blank, without taking it.
func (s *scanner) significant() (byte, error) {
	for {
		for s.next < len(s.buffer) {
			switch c := s.buffer[s.next]; c {
			case '\n':
				s.advance(1)
				s.line++
				s.fresh, s.rest = true, false
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
func (s *scanner) keep(l *opened, c byte) {
	if !l.object {
		return
	}
	if l.long = l.long || len(s.text) >= maxText; !l.long {
		s.text = append(s.text, c)
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
			s.keep(l, c)
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
			s.keep(l, ',')
			s.advance(1)
			if state = item; inObject {
				state = name
			}
			continue
		case (state == behind || state == start || state == nameOrEnd) && len(s.nest) > 0 && c == s.nest[len(s.nest)-1]:
			s.keep(l, c)
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
			s.keep(l, ':')
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
			s.keep(l, c)
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
