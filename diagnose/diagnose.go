package diagnose

import (
	"cmp"
	"slices"

	"whyreset/diagnose/cause"
	"whyreset/diagnose/evidence"
)

// Diagnose finds the cause that the evidence speaks for most. It always answers: where no rule fits, the
// cause is unknown and the verdict possible.
//
// Ranking: what a more specific cause beats is dropped; then strength, then the number of different
// sources cited, then the ID. There are no weights: a number that nobody can check would only look exact.
func Diagnose(ev *evidence.Evidence) Verdict {
	return judge(cause.Read(ev), cause.All())
}

// judge ranks what the rules find. Tests give it other rules.
func judge(c *cause.Case, catalogue []cause.Cause) Verdict {
	var room [8]hit // for most cases
	found, excluded := findings(room[:0], c, catalogue)
	first := &found[0]
	v := Verdict{
		Action:     actionOf(c, first.ID),
		Side:       sideOf(c),
		Origin:     cmp.Or(first.finding.Origin, first.Origin),
		Cause:      first.ID,
		Confidence: first.finding.Strength,
		Impact:     impactOf(c, first.ID),
		Phase:      c.Phase,
		Idle:       c.Idle,
		Sentence:   first.finding.Sentence,
		Advice:     first.finding.Advice,
		Timers:     cause.Timers(c),
		For:        first.finding.For,
		Against:    first.finding.Against,
		Missing:    first.finding.Settle,
	}
	if v.Advice == nil {
		v.Advice = first.Advice
	}
	// Two endings found in one batch have no order, so whose came first is not certain.
	if !c.Ordered && v.Confidence == cause.Conclusive && v.Side != SideProxy {
		v.Confidence = cause.Likely
		v.Against = append(slices.Clone(v.Against), cause.Cite{Source: evidence.Sockets,
			Says: "the other side ended at the same moment: which came first is not known"})
	}
	if v.Confidence == cause.Conclusive && c.Blind() {
		v.Confidence = cause.Likely
		v.Against = append(slices.Clone(v.Against), cause.Cite{Source: evidence.Packets,
			Says: "our own socket was not watched: it may have ended before, of which packets need not tell"})
	}
	v.Alternatives = alternatives(first.ID, found[1:], excluded)
	return v
}

// hit is a cause that the evidence speaks for.
type hit struct {
	*cause.Cause
	finding cause.Finding
}

// findings appends the causes found to none, the best first and at least one, and gives the IDs that the evidence excludes.
func findings(none []hit, c *cause.Case, catalogue []cause.Cause) (found []hit, excluded []string) {
	found = none
	for i := range catalogue {
		k := &catalogue[i]
		if k.ID == unknown {
			continue
		}
		switch f := k.Rule(c); {
		case f.Strength == cause.Excluded:
			excluded = append(excluded, k.ID)
		case f.Strength > cause.Silent:
			found = append(found, hit{k, f})
		}
	}
	if len(found) > 1 {
		found = ranked(found)
	}
	if len(found) == 0 {
		k, _ := cause.ByID(unknown)
		found = append(found, hit{&k, k.Rule(c)})
	}
	return found, excluded
}

// ranked are those that nothing more specific beats, the best first.
func ranked(found []hit) []hit {
	all := slices.Clone(found)
	found = slices.DeleteFunc(found, func(h hit) bool {
		return slices.ContainsFunc(all, func(other hit) bool {
			return slices.Contains(other.Beats, h.ID) && other.finding.Strength >= h.finding.Strength
		})
	})
	slices.SortStableFunc(found, func(a, b hit) int {
		return cmp.Or(
			cmp.Compare(b.finding.Strength, a.finding.Strength),
			cmp.Compare(sources(b.finding), sources(a.finding)),
			cmp.Compare(a.ID, b.ID))
	})
	return found
}

const unknown = "unknown"

// sources is the number of different ones cited.
func sources(f cause.Finding) (n int) {
	for i, cite := range f.For {
		if !slices.ContainsFunc(f.For[:i], func(before cause.Cite) bool { return before.Source == cite.Source }) {
			n++
		}
	}
	return n
}

// alternatives are the other causes found that share a family with the first: those it may be mistaken
// for. A conclusive first has none, by the meaning of the word: then the others were not found.
func alternatives(first string, others []hit, excluded []string) []string {
	var ids []string
	for _, family := range cause.Families {
		if !slices.Contains(family, first) {
			continue
		}
		for _, h := range others {
			if slices.Contains(family, h.ID) && !slices.Contains(excluded, h.ID) && !slices.Contains(ids, h.ID) {
				ids = append(ids, h.ID)
			}
		}
	}
	return ids
}
