package replay

import "io"

// text is a source that is no capture, read as it comes. Where it cannot be read any further it says so as a capture does.
type text struct{ in *source }

func (t text) Read(b []byte) (int, error) {
	n, err := t.in.r.Read(b)
	t.in.offset += int64(n)
	if err != nil && err != io.EOF {
		t.in.block = t.in.offset
		err = t.in.broken("%w", err)
	}
	return n, err
}
