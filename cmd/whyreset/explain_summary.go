package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
)

// explainSummary counts what is told: its size is that of the catalogue.
type explainSummary struct {
	all     int
	causes  map[string]*causeCount
	changed int
	changes map[string]int // of records whose verdict is another now: how many, by both verdicts
}

type causeCount struct {
	n       int
	weakest cause.Strength
	sides   map[diagnose.Side]int
}

// add counts a connection and gives how many of its cause there are now.
func (s *explainSummary) add(story *explainStory) int {
	v := &story.Verdict
	c := s.causes[v.Cause]
	if c == nil {
		if s.causes == nil {
			s.causes, s.changes = map[string]*causeCount{}, map[string]int{}
		}
		c = &causeCount{weakest: v.Confidence, sides: map[diagnose.Side]int{}}
		s.causes[v.Cause] = c
	}
	s.all++
	c.n++
	c.weakest = min(c.weakest, v.Confidence)
	c.sides[v.Side]++
	if was := story.Earlier; was != nil {
		s.changed++
		s.changes[fmt.Sprintf("%s, %v → %s, %v", was.Cause, was.Confidence, v.Cause, v.Confidence)]++
	}
	return c.n
}

// lines is a line for each cause, the most frequent first.
func (s *explainSummary) lines() string {
	var b strings.Builder
	for _, id := range slices.SortedFunc(maps.Keys(s.causes), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.causes[b].n, s.causes[a].n), cmp.Compare(a, b))
	}) {
		c := s.causes[id]
		known, _ := cause.ByID(id)
		sure := c.weakest.String()
		if c.n > 1 && c.weakest < cause.Conclusive {
			sure += " or more"
		}
		fmt.Fprintf(&b, "%8d  %-21s  %-16s  %-22s  %s\n", c.n, id, sure, c.sidesTold(), known.Title)
	}
	if s.changed > 0 {
		fmt.Fprintf(&b, "%s said something else:\n", plural(s.changed, "record"))
	}
	for _, change := range slices.SortedFunc(maps.Keys(s.changes), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.changes[b], s.changes[a]), cmp.Compare(a, b))
	}) {
		fmt.Fprintf(&b, "%8d  %s\n", s.changes[change], change)
	}
	return b.String()
}

// sidesTold names the sides, with numbers if there are several.
func (c *causeCount) sidesTold() string {
	sides := slices.SortedFunc(maps.Keys(c.sides), func(a, b diagnose.Side) int {
		return cmp.Or(cmp.Compare(c.sides[b], c.sides[a]), cmp.Compare(a, b))
	})
	if len(sides) == 1 {
		return string(sides[0])
	}
	var told []string
	for _, side := range sides {
		told = append(told, fmt.Sprintf("%s %d", side, c.sides[side]))
	}
	return strings.Join(told, ", ")
}
