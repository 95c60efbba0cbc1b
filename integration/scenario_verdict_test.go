package integration

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/integration/lab"
	"whyreset/integration/scenario"
)

// atOnce is how many scenarios are played at a time. They wait more than they work.
const atOnce = 12

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
	for _, s := range scenario.All() {
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

// faults are what is wrong with a verdict on a connection whose truth is known, judged by what sockets can show.
func faults(s scenario.Scenario, v diagnose.Verdict) []string {
	var all []string
	if scenario.Overconfident(s.Cause, v) {
		all = append(all, fmt.Sprintf("cause: got %s, conclusive, want %s", v.Cause, s.Cause))
	}
	if v.Side != s.Side {
		all = append(all, fmt.Sprintf("side: got %s, want %s", v.Side, s.Side))
	}
	if s.Shown == nil && !scenario.Right(s.Cause, v) {
		all = append(all, fmt.Sprintf("cause: got %s or one of %q, want %s", v.Cause, v.Alternatives, s.Cause))
	}
	return all
}

func TestScenarioVerdictsBySockets(t *testing.T) {
	var table strings.Builder
	var sharp [cause.Conclusive + 1]struct{ all, first, right int }
	judged, hidden := 0, 0
	for _, p := range playAll() {
		t.Run(p.name(), func(t *testing.T) {
			if p.skip != "" {
				t.Skip(p.skip)
			}
			if p.err != nil {
				t.Fatal(p.err)
			}
			v := p.result.Verdict()
			wrong := faults(p.scenario, v)
			for _, fault := range wrong {
				t.Error(fault)
			}
			if wrong != nil {
				t.Logf("%s (%s)\nclient: %v %v\nserver: %v\n%s", v.Sentence, v.Confidence, p.result.Outcome.Client, p.result.Outcome.DialErr,
					p.result.Outcome.Server, strings.Join(p.result.Report.Evidence, "\n"))
			}
			note := ""
			if p.scenario.Shown != nil {
				note = fmt.Sprintf("  (shown by %v only)", p.scenario.Shown)
			}
			fmt.Fprintf(&table, "%-44s %4.1f s %-22s %-22s %-10s %-10s %v%s\n", p.name(), p.result.Took.Seconds(), p.scenario.Cause, v.Cause, v.Confidence, v.Side, v.Alternatives, note)
			if p.scenario.Shown != nil {
				hidden++
				return
			}
			judged++
			sharp[v.Confidence].all++
			if v.Cause == p.scenario.Cause {
				sharp[v.Confidence].first++
			}
			if scenario.Right(p.scenario.Cause, v) {
				sharp[v.Confidence].right++
			}
		})
	}
	t.Logf("scenario, truth, verdict by sockets alone:\n%s", &table)
	for s := cause.Possible; s <= cause.Conclusive; s++ {
		t.Logf("%s: %d of %d; right in %d, its first cause in %d", s, sharp[s].all, judged, sharp[s].right, sharp[s].first)
	}
	t.Logf("%d more are beyond what sockets can show: all that is asked is not to be sure of another cause", hidden)
	if judged+hidden == 0 {
		t.Error("nothing was judged")
	}
	if likely := sharp[cause.Likely]; 10*likely.right < 9*likely.all {
		t.Errorf("likely: right in %d of %d, want nine of ten", likely.right, likely.all)
	}
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
		passes := faults(p.scenario, v) == nil
		if want := scenario.Relatives(p.scenario.Cause, "app_abort"); passes != want {
			t.Errorf("%s: the hedge passes for %s: %v, want %v", p.name(), p.scenario.Cause, passes, want)
		}
		if !passes {
			caught[p.scenario.Cause] = true
		}
	}
	if len(caught) < 2 {
		t.Errorf("the hedge is caught by %v, want more causes", caught)
	}
}
