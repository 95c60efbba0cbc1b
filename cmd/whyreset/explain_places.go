package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"whyreset/diagnose/replay"
)

// explainPlaces compares what several captures hold of the same connection: a reset that was captured at one place of the path and not
// at another was made between them, or lost there. It is empty for connections whose opening was not seen.
type explainPlaces map[connectionName][]sighting

// connectionName is what a connection has everywhere, as long as nobody translates its addresses.
type connectionName struct {
	client, server netip.AddrPort
	isn            uint32
}

// sighting is a connection in one capture.
type sighting struct {
	capture     *explainCapture
	parts       captureParts
	first, last int
	start       time.Time
	resets      [2]int // by replay.Side
	reset       int    // frame of the first; zero: none
	resetter    replay.Side
	resetAt     time.Duration // of the connection's last packet, if it holds a reset, which came no later
}

func (p explainPlaces) add(f *finding) {
	c := f.captured
	if !c.HasISN {
		return
	}
	s := sighting{capture: f.capture, parts: f.parts, first: c.FirstFrame, last: c.LastFrame, start: c.First}
	if r := c.Reset; r != nil {
		s.resets, s.reset, s.resetAt = [2]int{r.FromClient, r.FromServer}, r.Frame, c.Last.Sub(c.First)
		if r.Resetter == replay.Server.String() {
			s.resetter = replay.Server
		}
	}
	name := connectionName{c.Client, c.Server, c.ISN}
	p[name] = append(p[name], s)
}

// place names the frames of the connection.
func (s *sighting) place() string {
	file, first := s.parts.place(s.first)
	_, last := s.parts.place(s.last)
	return fmt.Sprintf("%s (#%d to #%d)", filepath.Base(file.name), first, last)
}

// lines says which resets are missing elsewhere, a line each, at most so many.
func (p explainPlaces) lines(most int) string {
	var all []string
	for name, at := range p {
		for i := range at {
			for j := range at {
				if a, b := &at[i], &at[j]; a.capture != b.capture && a.lacks(b) {
					file, number := a.parts.place(a.reset)
					all = append(all, fmt.Sprintf("    %s → %s: the %v's reset in %s (#%d) is not in %s, where the connection was captured, too: it was made or lost between\n",
						name.client, name.server, a.resetter, filepath.Base(file.name), number, b.place()))
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(a, b) })
	if left := len(all) - most; most > 0 && left > 0 {
		all = append(all[:most], fmt.Sprintf("    … %d more …\n", left))
	}
	if len(all) == 0 {
		return ""
	}
	return "Resets that one capture has and another has not:\n" + strings.Join(all, "")
}

// lacks says that b has no reset of a's first resetter, and was captured long enough after the connection began to hold it. Clocks of two
// places need not agree.
func (a *sighting) lacks(b *sighting) bool {
	return a.reset != 0 && b.resets[a.resetter] == 0 && b.capture.last.Sub(b.start) >= a.resetAt
}
