package integration

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"whyreset/integration/lab"
	"whyreset/integration/scenario"
	"whyreset/integration/trial"
)

var (
	trials   = flag.Int("trials", 30, "how many random trials to play")
	oneTrial = flag.Int("trial", -1, "number of the one random trial to play, with all its evidence")
	missFile = flag.String("misses", "", "file for the evidence of random trials that packets and sockets did not explain; empty: it is not kept")
)

// Connections that nobody wrote down, ended at a random moment in one of many ways, must be explained: not always to the
// point, and never wrong where the verdict is certain, with all sources and with few.
func TestTrials(t *testing.T) {
	seed := max(*firstSeed, 1) // one that stays, so that a test that failed fails again
	var all []trial.Trial
	transparent := scenario.HasTransparent() == nil
	for n := range *trials {
		all = append(all, trial.Draw(seed, n, transparent))
	}
	if *oneTrial >= 0 {
		all = []trial.Trial{trial.Draw(seed, *oneTrial, transparent)}
	}
	skips := map[string]int{}
	all = slices.DeleteFunc(all, func(d trial.Trial) bool {
		skip, err := lab.Need(d.Scenario.Needs...)
		if err != nil {
			t.Fatal(err)
		}
		skips[skip]++
		return skip != ""
	})
	if len(all) == 0 {
		t.Skip(skips)
	}
	var mu sync.Mutex
	var tally trial.Tally
	var missed strings.Builder
	free := make(chan struct{}, atOnce)
	var running sync.WaitGroup
	for _, d := range all {
		free <- struct{}{}
		running.Go(func() {
			defer func() { <-free }()
			r, err := trial.Play(context.Background(), d, program)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, trial.ErrTooSlow):
				t.Logf("%v (%v)", err, d)
				return
			case err != nil:
				t.Errorf("%v (%v)", err, d)
				return
			}
			tally.Add(r)
			faults := r.Faults()
			for _, fault := range faults {
				t.Errorf("%v: %s", d, fault)
			}
			if *oneTrial >= 0 || faults != nil {
				t.Logf("%s%s", told(r), r.Played.Report.Record)
			}
			if r.Missed(0) || r.Missed(1) {
				missed.WriteString(told(r) + r.Played.Report.Record + "\n")
			}
		})
	}
	running.Wait()
	if *missFile != "" {
		if err := os.WriteFile(*missFile, []byte(missed.String()), 0o644); err != nil {
			t.Error(err)
		}
	}
	t.Logf("seed %d, %d trials; one alone: go test ./integration -run TestTrials -v -seed %d -trial N\n%v", seed, len(all), seed, &tally)
	for view, v := range trial.Views {
		misses := tally.Misses(view)
		if view > 1 { // what few sources cannot tell is much; what they are wrong about is of interest
			misses = slices.DeleteFunc(misses, func(line string) bool { return strings.HasPrefix(line, "possible") })
		}
		if len(misses) > 0 {
			t.Logf("%s: wrong in\n%s", v.Name, strings.Join(misses, "\n"))
		}
	}
}

// told is a trial with what was said of it and all its evidence.
func told(r trial.Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v\nclient: %v %v\nserver: %v\n", r.Trial, r.Played.Outcome.Client, r.Played.Outcome.DialErr, r.Played.Outcome.Server)
	for i, v := range r.Verdicts {
		fmt.Fprintf(&b, "%s: %s, %v, %s %v, side %s: %s\n", trial.Views[i].Name, v.Cause, v.Confidence, v.Phase, v.Alternatives, v.Side, v.Sentence)
		for _, c := range v.For {
			fmt.Fprintf(&b, "\tfor (%s) %s\n", c.Source, c.Says)
		}
		for _, c := range v.Against {
			fmt.Fprintf(&b, "\tagainst (%s) %s\n", c.Source, c.Says)
		}
	}
	if r.Evidence != nil {
		fmt.Fprintf(&b, "packets %s, witness %s\n", r.Evidence.Coverage.Packets, r.Evidence.Coverage.Witness)
	}
	fmt.Fprintf(&b, "%s\n", strings.Join(r.Played.Report.Evidence, "\n"))
	return b.String()
}
