package telemetry

import (
	"fmt"
	"io"
	"os"
	"strconv"

	"whyreset/diagnose/record"
	"whyreset/diagnose/render"
)

// Options say what is written, and where to.
type Options struct {
	Output      string          // "stdout", "stderr", or the path of a file to append to; empty: stdout
	Format      Format          // empty: Auto
	Only        Only            // empty: All
	SampleClean float64         // share of harmless endings that is written, 0 to 1
	Width       int             // of console text; zero: the terminal's own
	By          record.Identity // who writes
	Queue       int             // bytes of records that may wait; zero: DefaultQueue
	Trouble     io.Writer       // told when the output fails, once until it works again; nil: stderr
}

// DefaultQueue is some thousands of records: seconds of a busy proxy's harmful ones.
const DefaultQueue = 8 << 20

// Format is the form of the records.
type Format string

const (
	Auto    Format = "auto" // Console on a terminal, else JSON
	JSON    Format = "json"
	Console Format = "console"
)

// Only says which endings are written.
type Only string

const (
	All     Only = "all"
	Harmful Only = "harmful" // those that cost somebody something, or may have
)

// settings are options that have been looked into.
type settings struct {
	Options
	out     *output
	console bool
	style   render.Style // its width is zero where the terminal is to be asked
}

func settle(o Options, out *output) (*settings, error) {
	s := &settings{Options: o, out: out}
	if s.SampleClean < 0 || s.SampleClean > 1 || s.SampleClean != s.SampleClean {
		return nil, fmt.Errorf("share of harmless endings to write is %v, want 0 to 1", s.SampleClean)
	}
	switch s.Only {
	case "", All, Harmful:
	default:
		return nil, fmt.Errorf("endings to write are %q, want all or harmful", s.Only)
	}
	switch s.Format {
	case "", Auto:
		s.console = out.terminal
	case JSON:
	case Console:
		s.console = true
	default:
		return nil, fmt.Errorf("log format is %q, want auto, json or console", s.Format)
	}
	if s.Queue <= 0 {
		s.Queue = DefaultQueue
	}
	if s.Trouble == nil {
		s.Trouble = os.Stderr
	}
	s.style = render.Style{Width: s.Width, Colour: out.terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 && s.Width == 0 {
		s.style.Width = n
	}
	return s, nil
}

// styleNow is the style with the width that the terminal has at this moment.
func (s *settings) styleNow() render.Style {
	style := s.style
	if style.Width == 0 {
		style.Width = s.out.width()
	}
	return style
}
