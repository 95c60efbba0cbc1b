package replay

import "io"

// A Selection is a set of connections whose frames are to be written, with comments on some of them. Which frames they are is found in
// a second reading of the capture: in the first, most were gone before it was known that they would be wanted.
type Selection struct {
	of       map[ends][]span
	comments map[int][]string
	errors   map[int]bool // frames of ICMP errors, which may come after the last of a connection
}

// span is the frames between the first and the last of a connection. Connections of the same ends have spans that do not overlap.
type span struct{ first, last int }

// Add adds a connection. The comment goes with the frame of its first reset, or with its last frame if it has none.
func (s *Selection) Add(c *Connection, comment string) {
	if s.of == nil {
		s.of, s.comments, s.errors = make(map[ends][]span), make(map[int][]string), make(map[int]bool)
	}
	key := endsOf(c.Client, c.Server)
	s.of[key] = append(s.of[key], span{c.FirstFrame, c.LastFrame})
	for _, e := range c.ICMP {
		s.errors[e.Frame] = true
	}
	at := c.LastFrame
	if c.Reset != nil {
		at = c.Reset.Frame
	}
	s.comments[at] = append(s.comments[at], comment)
}

// Has says whether the frame belongs to one of the connections. It must be of the capture that they were found in.
func (s *Selection) Has(f *Frame) bool {
	if s.errors[f.Number] {
		return true
	}
	p := Decode(f)
	if p.Kind != Segment {
		return false
	}
	for _, one := range s.of[endsOf(p.src(), p.dst())] {
		if one.first <= f.Number && f.Number <= one.last {
			return true
		}
	}
	return false
}

// Extract reads the capture r, from its beginning, and writes the frames of the connections that were selected. It tells how many they
// were. A *FormatError means, as with Reader, that the frames before the damage were written.
func Extract(r *Reader, w *Writer, selected *Selection) (frames int, err error) {
	for {
		f, err := r.Next()
		if err == io.EOF {
			return frames, nil
		}
		if err != nil {
			return frames, err
		}
		if !selected.Has(&f) {
			continue
		}
		if err := w.Write(&f, selected.comments[f.Number]...); err != nil {
			return frames, err
		}
		frames++
	}
}
