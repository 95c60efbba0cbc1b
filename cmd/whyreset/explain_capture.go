package main

import (
	"fmt"
	"strings"
	"time"

	"whyreset/diagnose/replay"
)

// explainCapture is one capture, in one file or in several that were written one after the other. Its frames are numbered through; a
// number in a file is the one here less the frames of the parts before.
type explainCapture struct {
	parts       captureParts
	tracker     *replay.Tracker // nil when it was read
	first, last time.Time       // of its frames
	frames      int
	connections int
	passedOver  string           // what of it was not believed, when it was read
	selected    replay.Selection // belongs to who explains
}

type captureParts []capturePart

type capturePart struct {
	file   *explainFile
	before int // frames of the parts before
}

// place gives the file and the number in it of a frame.
func (p captureParts) place(frame int) (*explainFile, int) {
	i := len(p) - 1
	for i > 0 && p[i].before >= frame {
		i--
	}
	return p[i].file, frame - p[i].before
}

func (e *explainer) newCapture() *explainCapture {
	c := &explainCapture{}
	c.tracker = replay.NewTracker(func(found *replay.Connection) {
		c.connections++
		e.found <- finding{capture: c, parts: c.parts, captured: found}
	})
	e.captures = append(e.captures, c)
	return c
}

// mixed is by how much the frames of two parts may be out of order: those of several devices are written in bunches.
const mixed = time.Second

// goesOn says whether the file continues the capture: it begins where that ended. One that begins before its middle is of another
// place at the same time (host1.pcap, host2.pcap), however short both are.
func (c *explainCapture) goesOn(f *explainFile) bool {
	if c == nil || f.once != nil || c.parts[0].file.series != f.series || f.first.IsZero() {
		return false
	}
	return f.first.After(c.last.Add(-min(mixed, c.last.Sub(c.first)/2)))
}

// flush tells the connections that are left. Of the capture only numbers stay.
func (c *explainCapture) flush() {
	if c != nil {
		c.tracker.Flush()
		c.passedOver = passedOver(c.tracker)
		c.tracker = nil
	}
}

// passedOver counts the frames that were not believed; empty when there were none.
func passedOver(t *replay.Tracker) string {
	var counts []string
	for _, k := range []struct {
		kind replay.Kind
		what string
	}{{replay.Fragment, "later fragments"}, {replay.Broken, "with broken headers"}, {replay.TooShort, "cut too short"}} {
		if n := t.Frames[k.kind]; n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, k.what))
		}
	}
	if len(counts) == 0 {
		return ""
	}
	return "; passed over: " + strings.Join(counts, ", ")
}

// readCapture reads one file of a capture.
func (e *explainer) readCapture(c *explainCapture, f *explainFile, r *replay.Reader) {
	c.parts = append(c.parts, capturePart{f, c.frames})
	r.Continue(c.frames)
	for {
		frame, err := r.Next()
		if err != nil {
			e.readStopped(f, err, plural(r.Count()-c.frames, "frame"))
			break
		}
		c.tracker.Add(&frame)
		if c.first.IsZero() {
			c.first = frame.At
		}
		if frame.At.After(c.last) {
			c.last = frame.At
		}
	}
	c.frames = r.Count()
}
