package integration

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/evidence"
	"whyreset/diagnose/record"
	"whyreset/integration/lab"
	"whyreset/integration/scenario"
)

// atOnce is how many scenarios are played at a time. They wait more than they work.
const atOnce = 12

// only is for whoever works on some scenarios.
var only = regexp.MustCompile("")

func init() {
	flag.Func("scenarios", "play only scenarios whose ID matches", func(pattern string) (err error) {
		only, err = regexp.Compile(pattern)
		return err
	})
}

// more are scenarios that take what only tests may import.
var more []scenario.Scenario

// scenarios are all, in order of cause and ID.
func scenarios() []scenario.Scenario {
	all := append(scenario.All(), more...)
	slices.SortStableFunc(all, func(a, b scenario.Scenario) int {
		return cmp.Or(cmp.Compare(a.Cause, b.Cause), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// play is one scenario in one place, and what came of it.
type play struct {
	scenario scenario.Scenario
	place    scenario.Place
	skip     string
	result   scenario.Result
	err      error
}

func (p *play) name() string { return p.scenario.ID + "/" + p.place.String() }

// playAll plays every scenario everywhere. It is done once for all tests.
var playAll = sync.OnceValue(func() []*play {
	var plays []*play
	for _, s := range scenarios() {
		if !only.MatchString(s.ID) {
			continue
		}
		for _, p := range s.Places() {
			plays = append(plays, &play{scenario: s, place: p})
		}
	}
	free := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for _, p := range plays {
		if p.skip, p.err = missing(p.scenario, p.place); p.skip != "" || p.err != nil {
			continue
		}
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			p.result, p.err = scenario.Play(context.Background(), p.scenario, p.place, program)
		})
	}
	all.Wait()
	return plays
})

func missing(s scenario.Scenario, p scenario.Place) (skip string, err error) {
	needs := s.Needs
	if p.Hosts {
		needs = append([]lab.Feature{lab.Netns}, needs...)
	}
	return lab.Need(needs...)
}

// faults are what is wrong with a verdict on a connection whose truth is known. shown says that the sources it rests on can
// show the cause.
func faults(s scenario.Scenario, v diagnose.Verdict, shown bool) []string {
	var all []string
	truth := truth(s, v)
	if scenario.Overconfident(truth, v) {
		all = append(all, fmt.Sprintf("cause: got %s, conclusive, want %s", v.Cause, truth))
	}
	if v.Confidence == cause.Conclusive && v.Side != s.Side {
		all = append(all, fmt.Sprintf("side: got %s, conclusive, want %s", v.Side, s.Side))
	}
	if !shown {
		return all
	}
	if v.Side != s.Side {
		all = append(all, fmt.Sprintf("side: got %s, want %s", v.Side, s.Side))
	}
	if !scenario.Right(truth, v) {
		all = append(all, fmt.Sprintf("cause: got %s or one of %q, want %s", v.Cause, v.Alternatives, truth))
	}
	return all
}

// truth is what the verdict is to be held against.
func truth(s scenario.Scenario, v diagnose.Verdict) string {
	if s.Heard != "" && v.Cause == s.Heard {
		return s.Heard
	}
	return s.Cause
}

// tally counts verdicts of one set of sources by their confidence.
type tally [cause.Conclusive + 1]struct{ all, right, first int }

func (t *tally) add(s scenario.Scenario, v diagnose.Verdict) {
	at := &t[v.Confidence]
	at.all++
	if v.Cause == truth(s, v) {
		at.first++
	}
	if scenario.Right(truth(s, v), v) {
		at.right++
	}
}

func (t *tally) total() (n int) {
	for s := range t {
		n += t[s].all
	}
	return n
}

func (t *tally) String() string {
	var b strings.Builder
	for s := cause.Conclusive; s >= cause.Possible; s-- {
		fmt.Fprintf(&b, "%s %d (right %d, first %d)  ", s, t[s].all, t[s].right, t[s].first)
	}
	return b.String()
}

// Each scenario is played once, with all sources that there are, and its evidence judged once more for each set of them.
func TestScenarioVerdicts(t *testing.T) {
	var table strings.Builder
	counts := make([]tally, len(scenario.Subsets))
	var sharp tally // of what sockets can show
	for _, p := range playAll() {
		t.Run(p.name(), func(t *testing.T) {
			if p.skip != "" {
				t.Skip(p.skip)
			}
			if p.err != nil {
				t.Fatal(p.err)
			}
			c, err := record.Parse([]byte(p.result.Report.Record))
			if err != nil || c.Evidence == nil {
				t.Fatalf("the proxy's record cannot be read: %v", err)
			}
			fmt.Fprintf(&table, "%-44s %4.1f s %-22s", p.name(), p.result.Took.Seconds(), p.scenario.Cause)
			for i, set := range scenario.Subsets {
				if !watched(c.Evidence, set) {
					continue
				}
				ev := set.Of(c.Evidence)
				v := diagnose.Diagnose(ev)
				counts[i].add(p.scenario, v)
				shown := slices.Contains(set.All, evidence.Sockets) && set.Show(p.scenario)
				if i == 2 && shown {
					sharp.add(p.scenario, v)
				}
				for _, fault := range faults(p.scenario, v, shown) {
					t.Errorf("%s: %s: %s (%s)\nclient: %v %v\nserver: %v\n%s", set.Name, fault, v.Sentence, v.Confidence,
						p.result.Outcome.Client, p.result.Outcome.DialErr, p.result.Outcome.Server, lines(ev))
				}
				if i < len(scenario.Columns) {
					fmt.Fprintf(&table, " | %-11.11s %-22s %v", v.Confidence, v.Cause, v.Alternatives)
				}
			}
			fmt.Fprintln(&table)
		})
	}
	t.Logf("scenario, truth, verdict by each set of sources:\n%s", &table)
	for i, set := range scenario.Subsets {
		t.Logf("%s: %v", set.Name, &counts[i])
	}
	for i, goal := range []struct {
		least cause.Strength
		of100 int
	}{{cause.Conclusive, 90}, {cause.Likely, 60}, {cause.Possible, 0}} {
		n, all := 0, counts[i].total()
		for s := goal.least; s <= cause.Conclusive; s++ {
			n += counts[i][s].all
		}
		t.Logf("%s: %s or better in %d of %d, the goal is %d %%", scenario.Columns[i].Name, goal.least, n, all, goal.of100)
	}
	if likely := sharp[cause.Likely]; only.String() == "" && 10*likely.right < 9*likely.all {
		t.Errorf("sockets only, likely: right in %d of %d, want nine of ten", likely.right, likely.all)
	}
	if counts[2].total() == 0 {
		t.Error("nothing was judged")
	}
}

// watched says that all of the set's sources were. Packets were also if none passed.
func watched(ev *evidence.Evidence, set scenario.Sources) bool {
	return !slices.ContainsFunc(set.All, func(s evidence.Source) bool {
		none := s == evidence.Packets && ev.Coverage.Packets == evidence.NonePassed(evidence.Upstream)
		return !none && !ev.Coverage.Has(s)
	})
}

// lines is the evidence for whoever looks into a wrong verdict.
func lines(ev *evidence.Evidence) string {
	var b strings.Builder
	for _, o := range ev.Observations {
		fmt.Fprintf(&b, "%12v %-10v %T %+v\n", o.At, o.Leg, o.What, o.What)
	}
	return b.String()
}

// An engine that answers every reset with one family, for any of its members, must not pass.
func TestScenariosTellAHedge(t *testing.T) {
	caught := map[string]bool{}
	for _, p := range playAll() {
		v := p.result.Verdict()
		if p.skip != "" || p.err != nil || p.scenario.Shown != nil || v.Action != diagnose.Reset {
			continue
		}
		v.Cause, v.Confidence, v.Alternatives = "app_abort", cause.Possible, []string{"app_close_unread"}
		passes := faults(p.scenario, v, true) == nil
		if want := scenario.Relatives(p.scenario.Cause, "app_abort"); passes != want {
			t.Errorf("%s: the hedge passes for %s: %v, want %v", p.name(), p.scenario.Cause, passes, want)
		}
		if !passes {
			caught[p.scenario.Cause] = true
		}
	}
	if len(caught) < 2 && only.String() == "" {
		t.Errorf("the hedge is caught by %v, want more causes", caught)
	}
}
