package main

import (
	"bufio"
	"errors"
	"io"
	"syscall"

	"whyreset/diagnose/record"
)

// teller says what was found. Its methods are called by one goroutine.
type teller interface {
	tell(*explainStory) error
	rest() error   // nothing more is there at the moment
	finish() error // nothing more comes
}

// explainJSON writes a record for each connection, as it is found.
type explainJSON struct {
	out  *bufio.Writer
	line []byte
}

func newExplainJSON(w io.Writer) *explainJSON {
	return &explainJSON{out: bufio.NewWriterSize(w, 64<<10)}
}

func (t *explainJSON) tell(s *explainStory) error {
	t.line = record.Append(t.line[:0], &s.Connection)
	_, err := t.out.Write(t.line)
	return err
}

func (t *explainJSON) rest() error   { return t.out.Flush() }
func (t *explainJSON) finish() error { return t.out.Flush() }

// quietly says that whoever read the output has gone, which is no failure to talk about.
func quietly(err error) bool { return errors.Is(err, syscall.EPIPE) }
