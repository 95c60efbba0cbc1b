package scenario

import (
	"slices"

	"whyreset/diagnose/evidence"
)

// Sources is a set of ways of watching, with a name for tables.
type Sources struct {
	Name string
	All  []evidence.Source
}

// Columns are the sets for which a verdict is shown: all there is, without the kernel's witness, which takes more rights than
// many give, and what a process without any right sees.
var Columns = []Sources{
	{"all sources", []evidence.Source{evidence.Sockets, evidence.Packets, evidence.Witness}},
	{"without witness", []evidence.Source{evidence.Sockets, evidence.Packets}},
	{"sockets only", []evidence.Source{evidence.Sockets}},
}

// Captures are the sources of whoever only has a capture.
var Captures = Sources{"packets only", []evidence.Source{evidence.Packets}}

// Subsets are all sets of sources but the empty one: Columns first.
var Subsets = append(slices.Clone(Columns),
	Sources{"sockets and witness", []evidence.Source{evidence.Sockets, evidence.Witness}},
	Sources{"packets and witness", []evidence.Source{evidence.Packets, evidence.Witness}},
	Captures,
	Sources{"witness only", []evidence.Source{evidence.Witness}},
)

// Of is what would be known with these sources alone. What the proxy did itself it always knows.
func (s Sources) Of(ev *evidence.Evidence) *evidence.Evidence {
	const left = "left out"
	less := *ev
	less.Observations = slices.DeleteFunc(slices.Clone(ev.Observations), func(o evidence.Observation) bool {
		from := evidence.SourceOf(o.What)
		return from != evidence.Self && !slices.Contains(s.All, from)
	})
	for source, coverage := range map[evidence.Source]*string{
		evidence.Sockets: &less.Coverage.Sockets, evidence.Packets: &less.Coverage.Packets, evidence.Witness: &less.Coverage.Witness,
	} {
		if !slices.Contains(s.All, source) {
			*coverage = left
		}
	}
	return &less
}

// Show says whether these sources can show the scenario's cause, when all of them were there.
func (s Sources) Show(sc Scenario) bool {
	return sc.Shown == nil || slices.ContainsFunc(sc.Shown, func(one evidence.Source) bool { return slices.Contains(s.All, one) })
}
