package integration

import (
	"context"
	"sync"
	"testing"

	"whyreset/integration/scenario"
)

// Whoever did not bring the end about must see the same end with the proxy between as without.
func TestScenariosLookTheSameThroughTheProxy(t *testing.T) {
	plays := playAll()
	direct := make([]scenario.Outcome, len(plays))
	errs := make([]error, len(plays))
	known := map[string]*captured{}
	for _, c := range captureAll() {
		known[c.name()] = c
	}
	free := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, p := range plays {
		if p.skip != "" || p.err != nil || !p.scenario.Comparable(p.place) {
			continue
		}
		if c := known[p.name()]; c != nil {
			direct[i], errs[i] = c.result.Outcome, c.err
			continue
		}
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			direct[i], errs[i] = scenario.PlayDirect(context.Background(), p.scenario, p.place, program)
		})
	}
	all.Wait()
	for i, p := range plays {
		if !p.scenario.Comparable(p.place) || p.err != nil { // which TestScenarioVerdicts tells
			continue
		}
		t.Run(p.name(), func(t *testing.T) {
			if p.skip != "" {
				t.Skip(p.skip)
			}
			if errs[i] != nil {
				t.Fatal(errs[i])
			}
			without, with := direct[i].View(p.scenario.Side), p.result.Outcome.View(p.scenario.Side)
			if !scenario.Same(without, with) {
				t.Errorf("got %v, want %v as without the proxy\nwith:    client %v, server %v\nwithout: client %v, server %v", with, without,
					p.result.Outcome.Client, p.result.Outcome.Server, direct[i].Client, direct[i].Server)
			}
		})
	}
}
