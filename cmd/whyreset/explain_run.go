package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/spf13/cobra"

	"whyreset/diagnose/record"
	"whyreset/diagnose/replay"
)

// explainer is one run of explain. Files are read in one goroutine and connections explained in another.
type explainer struct {
	ctx            context.Context
	options        *explainOptions
	stdin          io.Reader
	stdout, stderr io.Writer

	read     atomic.Int64 // bytes of the files, compressed as they are
	told     atomic.Int64 // connections
	found    chan finding
	by       record.Identity
	captures []*explainCapture
	records  int    // read
	sequence uint64 // of the last connection of a capture
	teller   teller
	export   *explainExport // nil: nothing is to be written
	several  bool           // there is more than one file
	places   explainPlaces  // of several captures; belongs to who explains
	cut      bool           // it was interrupted before the end
	failed   bool           // something could not be read; it was told
}

// finding is a connection on its way to be explained.
type finding struct {
	capture  *explainCapture // it is from; nil for a record
	parts    captureParts    // of capture, as far as it was read when the connection was over
	captured *replay.Connection
	recorded *recordFound
}

// run explains the files and returns an error for what was not told yet.
func (e *explainer) run(cmd *cobra.Command, names []string) error {
	files, problems := findFiles(names, e.stdin)
	for _, p := range problems {
		e.complain(p)
	}
	if len(files) == 0 {
		return exitStatus(exitFailure)
	}
	e.several, e.places = len(names) > 1, explainPlaces{}
	if err := e.open(cmd, files); err != nil {
		return err
	}
	progress := e.startProgress(files)
	e.found = make(chan finding, 256)
	done := make(chan error, 1)
	go func() { done <- e.tellAll() }()
	e.readAll(files)
	close(e.found)
	err := <-done
	progress.stop()
	if err == nil {
		err = e.teller.finish()
	}
	if err == nil && e.export != nil {
		err = e.export.write(e)
	}
	switch {
	case quietly(err):
		return exitStatus(exitFailure)
	case err != nil:
		return err
	case e.failed:
		return exitStatus(exitFailure)
	}
	return nil
}

// complain tells of something that is wrong, and goes on.
func (e *explainer) complain(err error) {
	e.failed = true
	complain(e.stderr, err)
}

// readAll reads the files, those of one capture together.
func (e *explainer) readAll(files []*explainFile) {
	var current *explainCapture
	for _, f := range files {
		if e.ctx.Err() != nil {
			e.cut = true
			break
		}
		in, closeFile, err := f.open(e.ctx, &e.read)
		if err != nil {
			if errors.Is(err, context.Canceled) {
				e.cut = true
			} else {
				e.complain(err)
			}
			continue
		}
		if in.Capture == nil {
			e.readRecords(f, in.Records)
		} else {
			if current == nil || !current.goesOn(f) {
				current.flush()
				current = e.newCapture()
			}
			e.readCapture(current, f, in.Capture)
		}
		closeFile()
	}
	current.flush()
	if e.cut {
		e.complain(errors.New("interrupted: what follows was not read"))
	}
}

// tellAll explains what is found until there is no more. After an error it goes on taking, so that the reading ends.
func (e *explainer) tellAll() (err error) {
	for f := range e.found {
		if err != nil {
			continue
		}
		if story := e.explain(&f); story != nil {
			err = e.teller.tell(story)
			e.told.Add(1)
		}
		if err == nil && len(e.found) == 0 {
			err = e.teller.rest()
		}
	}
	return err
}

// readStopped says how far a file could be read.
func (e *explainer) readStopped(f *explainFile, err error, good string) {
	switch {
	case err == io.EOF:
	case errors.Is(err, context.Canceled):
		e.cut = true
		fmt.Fprintf(e.stderr, "whyreset: %s was read up to %s\n", f.name, good)
	default:
		e.complain(fmt.Errorf("%s: %w; what stands before, %s, is explained", f.name, err, good))
	}
}
