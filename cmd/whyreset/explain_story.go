package main

import (
	"fmt"
	"hash/fnv"
	"path/filepath"
	"strconv"

	"whyreset/diagnose"
	"whyreset/diagnose/evidence"
	"whyreset/diagnose/record"
	"whyreset/diagnose/render"
)

// explainStory is a connection explained.
type explainStory struct {
	record.Connection
	place   string       // where it was found, for a person
	capture captureParts // nil for a record
	reset   uint64       // frame of the first RST; zero: there is none
}

// explain finds the verdict for what was found. It is nil for a connection that is not to be told.
func (e *explainer) explain(f *finding) *explainStory {
	var s *explainStory
	var told bool
	if f.recorded != nil {
		s, told = e.explainRecord(f.recorded)
	} else {
		s, told = e.explainCaptured(f)
	}
	if f.captured != nil && e.several && e.options.filter.passesEnds(&s.Connection) {
		e.places.add(f)
	}
	if !told && !e.options.all || !e.options.filter.passes(&s.Connection) {
		return nil
	}
	if f.captured != nil && e.export != nil {
		f.capture.selected.Add(f.captured, exportComment(&s.Verdict))
	}
	return s
}

// explainCaptured explains a connection of a capture. It is told if it holds a reset or did not end clean; one that
// goes on beyond the capture is neither.
func (e *explainer) explainCaptured(f *finding) (s *explainStory, told bool) {
	c, ev := f.captured, f.captured.Evidence()
	e.sequence++
	s = &explainStory{capture: f.parts}
	s.Connection = record.Connection{
		By: e.by, Sequence: e.sequence, Start: c.First, Duration: max(0, c.Last.Sub(c.First)), Destination: c.Server,
		Downstream: record.Leg{Remote: c.Client}, Upstream: record.Leg{Remote: c.Server}, Evidence: &ev, Verdict: diagnose.Diagnose(&ev),
	}
	at := c.LastFrame
	if c.Reset != nil {
		at, s.reset = c.Reset.Frame, uint64(c.Reset.Frame)
	}
	file, number := f.parts.place(at)
	s.File, s.place = file.name, fmt.Sprintf("#%d", number)
	if e.several {
		s.place = filepath.Base(file.name) + s.place
	}
	if c.Reset != nil {
		here := *c.Reset
		here.Frame = number
		s.Capture = &here
	}
	s.ID = captureID(f, file, number)
	return s, c.Reset != nil || !clean(&s.Verdict)
}

// captureID is the same whenever the same capture is explained.
func captureID(f *finding, file *explainFile, number int) string {
	h := fnv.New128a()
	fmt.Fprintf(h, "%s %s %s %d", filepath.Base(file.name), f.captured.Client, f.captured.Server, number)
	return record.FixedID(f.captured.First, [16]byte(h.Sum(nil)))
}

// explainRecord explains a record anew, if it carries its evidence. It is told if it did not end clean, by the verdict of then or now.
func (e *explainer) explainRecord(f *recordFound) (s *explainStory, told bool) {
	s = &explainStory{Connection: *f.Connection}
	if s.place = s.Listener; s.place == "" {
		s.place = fmt.Sprintf("line %d", f.line)
	}
	if s.Evidence == nil {
		return s, !clean(&s.Verdict)
	}
	then := s.Verdict
	s.Verdict = diagnose.Diagnose(s.Evidence)
	if then.Cause != s.Verdict.Cause || then.Confidence != s.Verdict.Confidence {
		s.Earlier = &record.Earlier{Cause: then.Cause, Confidence: then.Confidence, Version: s.By.Version}
	}
	s.By.Version = e.by.Version
	return s, !clean(&then) || !clean(&s.Verdict)
}

// clean says that nobody was cut: FINs ended the connection, and nobody missed anything.
func clean(v *diagnose.Verdict) bool { return v.Action == diagnose.Closed && !v.Harmful() }

// ladder is what there is to draw: in a capture the client and the server, else our leg that ended.
func (s *explainStory) ladder() *render.Ladder {
	l := &render.Ladder{Left: evidence.Downstream, Right: evidence.Upstream, Reset: s.reset,
		LeftName: "client " + s.Downstream.Remote.String(), RightName: "server " + s.Upstream.Remote.String()}
	if s.Evidence != nil {
		l.Observations = s.Evidence.Observations
	}
	switch {
	case s.capture != nil:
		l.Frame = s.frameName
	case s.File != "": // the record of a capture
		if s.Capture != nil {
			l.Reset = uint64(s.Capture.Frame)
		}
	case s.Verdict.Side == diagnose.SideDownstream:
		l.Right, l.RightName = evidence.NoLeg, "whyreset"
	default:
		l.Left, l.LeftName = evidence.NoLeg, "whyreset"
	}
	return l
}

// frameName is the number in the file, and the file where the connection goes over several.
func (s *explainStory) frameName(frame uint64) string {
	file, number := s.capture.place(int(frame))
	if len(s.capture) == 1 || file.name == s.File {
		return strconv.Itoa(number)
	}
	return filepath.Base(file.name) + "#" + strconv.Itoa(number)
}
