package replay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"whyreset/diagnose/record"
)

// Records reads the records of ended connections that stand in lines of text, among whatever else.
type Records struct {
	Lines   int // read
	Ours    int // records of ended connections and other lines of whyreset's own, damaged ones too
	in      *source
	long    []byte
	err     error
	current int64 // where the line began
}

// RecordError says which record of ours could not be read. Reading may go on behind it.
type RecordError struct {
	Line   int   // from 1
	Offset int64 // bytes from the start of the text, after decompression
	Err    error
}

func (e *RecordError) Error() string {
	return fmt.Sprintf("line %d, at byte %d: %v", e.Line, e.Offset, e.Err)
}

func (e *RecordError) Unwrap() error { return e.Err }

// longestLine is more than any record takes, wrapped or not; what is longer is no line of ours.
const longestLine = 4 << 20

func newRecords(in *source) *Records { return &Records{in: in} }

// Next reads the next record of an ended connection. It reports io.EOF at the end and a *FormatError where the text cannot be read
// any further; then it goes on reporting the same. A *RecordError is about one line.
func (r *Records) Next() (*record.Connection, error) {
	for r.err == nil {
		line, err := r.line()
		if r.err = err; len(line) == 0 {
			continue
		}
		r.Lines++
		c, err := record.Parse(line)
		if ours(line) {
			r.Ours++
		} else if err != nil {
			continue
		}
		switch {
		case err == nil:
			return c, nil
		case errors.Is(err, record.ErrOther):
		default:
			return nil, &RecordError{Line: r.Lines, Offset: r.current, Err: err}
		}
	}
	return nil, r.err
}

// ours says that a line bears the name of one of our data sets: what cannot be read of it is damaged, not another's.
func ours(line []byte) bool {
	return bytes.Contains(line, []byte("whyreset.connection")) || bytes.Contains(line, []byte("whyreset.program"))
}

// line gives the next line without its end, good until the next call; one that is too long is empty. The last one may come with
// io.EOF.
func (r *Records) line() ([]byte, error) {
	r.current, r.in.block = r.in.offset, r.in.offset
	r.long = r.long[:0]
	for {
		part, err := r.in.r.ReadSlice('\n')
		r.in.offset += int64(len(part))
		if err == nil && len(r.long) == 0 {
			return bytes.TrimSpace(part), nil
		}
		if len(r.long) <= longestLine {
			r.long = append(r.long, part...)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil && err != io.EOF {
			err = r.in.broken("line %d: %w", r.Lines+1, err)
		}
		if len(r.long) > longestLine {
			r.Lines++
			return nil, err
		}
		return bytes.TrimSpace(r.long), err
	}
}

// Offset is how many bytes were read, after decompression.
func (r *Records) Offset() int64 { return r.in.offset }
