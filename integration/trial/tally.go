package trial

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"whyreset/diagnose/cause"
)

// Tally counts many trials. Its zero value is empty.
type Tally struct {
	results []Result
}

// Add counts a result.
func (t *Tally) Add(r Result) { t.results = append(t.results, r) }

// Count is how the verdicts of one confidence were.
type Count struct{ All, First, Right, Side, SureOfSide int }

// Of counts the verdicts by view and confidence.
func (t *Tally) Of(view int) (by [cause.Conclusive + 1]Count) {
	for _, r := range t.results {
		if view >= len(r.Verdicts) {
			continue
		}
		v := r.Verdicts[view]
		c := &by[v.Confidence]
		c.All++
		if r.Trial.first(v) {
			c.First++
		}
		if r.Trial.right(v) {
			c.Right++
		}
		if r.Ordered[view] {
			c.SureOfSide++
			if v.Side == r.Trial.Scenario.Side {
				c.Side++
			}
		}
	}
	return by
}

// String is the tables: how often each set of sources was right, by confidence, and what each truth was taken for.
func (t *Tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-22s %-12s %8s %8s %8s %8s   %s\n", "sources", "confidence", "verdicts", "first", "family", "wrong", "right side, of those with an order")
	for view := range Views {
		t.confidences(&b, view)
	}
	t.confusion(&b)
	t.goals(&b)
	return b.String()
}

func (t *Tally) confidences(b *strings.Builder, view int) {
	counts := t.Of(view)
	var sum Count
	row := func(confidence string, c Count) {
		fmt.Fprintf(b, "%-22s %-12s %8d %8d %8d %8d   %d of %d\n", Views[view].Name, confidence, c.All, c.First, c.Right, c.All-c.Right, c.Side, c.SureOfSide)
	}
	for s := cause.Conclusive; s >= cause.Possible; s-- {
		c := counts[s]
		row(s.String(), c)
		sum = Count{sum.All + c.All, sum.First + c.First, sum.Right + c.Right, sum.Side + c.Side, sum.SureOfSide + c.SureOfSide}
	}
	row("together", sum)
}

// goals are the figures that count, each beside what it is to reach.
func (t *Tally) goals(b *strings.Builder) {
	var all, likely Count
	wrong := 0
	for view := range Views {
		counts := t.Of(view)
		wrong += counts[cause.Conclusive].All - counts[cause.Conclusive].First
		if view > 0 {
			continue
		}
		likely = counts[cause.Likely]
		for _, c := range counts {
			all.All, all.Right, all.Side, all.SureOfSide = all.All+c.All, all.Right+c.Right, all.Side+c.Side, all.SureOfSide+c.SureOfSide
		}
	}
	fmt.Fprintf(b, "\nright family %s (99 %%); side %s (100 %%); likely and right %s (95 %%); conclusive and wrong, by any set of sources: %d (0)\n",
		share(all.Right, all.All), share(all.Side, all.SureOfSide), share(likely.Right, likely.All), wrong)
}

func share(n, of int) string {
	if of == 0 {
		return "of none"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
}

// confusion is what each truth was taken for, from all sources.
func (t *Tally) confusion(b *strings.Builder) {
	taken := map[string]map[string]int{}
	for _, r := range t.results {
		truth := r.Trial.Scenario.Cause
		if taken[truth] == nil {
			taken[truth] = map[string]int{}
		}
		taken[truth][r.Verdicts[0].Cause]++
	}
	fmt.Fprintf(b, "\ntruth, and what it was taken for from all sources\n")
	for _, truth := range slices.Sorted(maps.Keys(taken)) {
		fmt.Fprintf(b, "  %-22s", truth)
		for _, verdict := range slices.Sorted(maps.Keys(taken[truth])) {
			fmt.Fprintf(b, " %s %d", verdict, taken[truth][verdict])
		}
		b.WriteByte('\n')
	}
}

// Misses are the verdicts that do not name the truth, a line each.
func (t *Tally) Misses(view int) (lines []string) {
	for _, r := range t.results {
		if r.Missed(view) {
			v := r.Verdicts[view]
			lines = append(lines, fmt.Sprintf("%-9s %-22s for %-22s %s; trial %v", v.Confidence, v.Cause, r.Trial.Scenario.Cause, v.Sentence, r.Trial))
		}
	}
	return lines
}
