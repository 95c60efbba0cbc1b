package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Reader finds the records of ended connections in a stream: a file that whyreset wrote, or what collectors, container
// runtimes, Loki, Grafana, journald and Elasticsearch make of it.
//
//	r := record.NewReader(file)
//	for {
//		c, err := r.Next()
//		var damage *record.DamageError
//		switch {
//		case err == io.EOF:
//			return r.Counts()
//		case errors.As(err, &damage):
//			fmt.Fprintln(os.Stderr, damage) // the next one may be whole
//		case err != nil:
//			return err
//		default:
//			use(c)
//		}
//	}
//
// What wraps a record is told by what is there, line by line, so that files may be put together. A record is found
//
//   - in a line, whatever stands before it: kubectl logs --prefix, docker compose logs, the CRI's "time stdout F", logcli,
//     Grafana's .txt;
//   - in an object that carries it as text in line, log, message, MESSAGE, msg, _msg, _raw, event.original, body.text or
//     body.stringValue: logcli -o jsonl, docker's json-file, journalctl -o json, Filebeat, Fluent Bit and the OpenTelemetry
//     Collector that did not decode it, Grafana's .json;
//   - in an object that carries it decoded: itself, its names nested or with dots, or in _source, fields, json,
//     log_processed or jsonPayload: a search of Elasticsearch, elasticdump;
//   - in a text within arrays, or in an object of any of these kinds, anywhere in a JSON document whatever its length and
//     layout, such as the answers of Loki's and Elasticsearch's query interfaces.
//
// Its memory is bounded by the longest object that is no container of such objects, and by maxText. The bytes must be
// decompressed already.
type Reader struct {
	scanner
	counts Counts
	at     position // of what Next gave last
}

// Counts is what a Reader has met.
type Counts struct {
	Records uint64 // given by Next
	Others  uint64 // records of whyreset that are not of an ended connection: starts and notices
	Foreign uint64 // lines and entries of other programs
	Damaged uint64 // told by Next as *DamageError
}

// DamageError is the error for a record that cannot be read. What follows it can.
type DamageError struct {
	Line   int   // in which it begins, from 1
	Offset int64 // of its first byte
	Err    error
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("line %d (byte %d): %v", e.Line, e.Offset, e.Err)
}

func (e *DamageError) Unwrap() error { return e.Err }

// NewReader reads from in, which it does not close.
func NewReader(in io.Reader) *Reader { return &Reader{scanner: newScanner(in)} }

// Next gives the next record; io.EOF when there is no more. After a *DamageError it can be called again, after any other
// error not.
func (r *Reader) Next() (*Connection, error) {
	for {
		u, err := r.unit()
		if err != nil {
			return nil, err
		}
		r.at = u.at
		c, err := r.read(&u)
		switch {
		case err == nil:
			r.counts.Records++
			return c, nil
		case errors.Is(err, errForeign):
			if !u.quiet {
				r.counts.Foreign++
			}
		case errors.Is(err, ErrOther):
			r.counts.Others++
		default:
			r.counts.Damaged++
			return nil, &DamageError{Line: u.at.line, Offset: u.at.offset, Err: err}
		}
	}
}

// Line is the line, from 1, in which begins what Next gave last.
func (r *Reader) Line() int { return r.at.line }

// Counts tells what was met so far.
func (r *Reader) Counts() Counts { return r.counts }

func (r *Reader) read(u *unit) (*Connection, error) {
	switch {
	case u.broken != nil:
		if !u.ours {
			return nil, errForeign
		}
		return nil, u.broken
	case u.long:
		if ours(u.text) {
			return nil, fmt.Errorf("longer than %d bytes, which no record is", maxText)
		}
		return nil, errForeign
	case u.kind == objectUnit:
		return readObject(u.text, 0)
	case u.kind == stringUnit:
		u.quiet = u.quiet || isNumber(u.text)
		return readString(u.text, 0)
	}
	return readLine(u.text, 0)
}

// ours says that a text has to do with whyreset.
func ours(text []byte) bool { return bytes.Contains(text, []byte("whyreset")) }

// isNumber says that a JSON string holds digits only, as Loki's timestamps.
func isNumber(text []byte) bool {
	for _, b := range bytes.Trim(text, `"`) {
		if b < '0' || b > '9' {
			return false
		}
	}
	return true
}
