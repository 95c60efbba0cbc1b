package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"whyreset/integration/lab"
	"whyreset/integration/scenario"
)

// demoOrder is the demo: scenarios by ID, in the order in which they are told.
var demoOrder = []string{
	"half-close", "closed-port", "reset-at-accept", "server-resets", "server-closes-unread", "early-answer",
	"server-hangs-up", "server-killed-read", "server-killed-unread", "server-idle-close", "write-after-close",
	"client-resets", "accept-queue-full", "server-does-not-read", "idle-timeout",
	"our-upstream-socket-killed", "icmp-admin-prohibited-router", "icmp6-port-server", "no-route",
	"last-hop-silent", "drop-syn", "reject-syn-router", "reject-nearby", "state-lost", "drop-later-user-timeout",
	"silent-while-idle", "local-drop",
}

func demoScenarios() []scenario.Scenario {
	var all []scenario.Scenario
	for _, id := range demoOrder {
		s, ok := scenario.ByID(id)
		if !ok {
			panic("no scenario is called " + id) // held by a test
		}
		all = append(all, s)
	}
	return all
}

// demo is one run.
type demo struct {
	scenarios []scenario.Scenario
	program   scenario.Program
	show      show
}

// playedAtOnce is how many scenarios are played at a time. They wait more than they work.
const playedAtOnce = 6

// act is one scenario of the demo and what came of it.
type act struct {
	scenario scenario.Scenario
	place    scenario.Place
	through  scenario.Result
	direct   scenario.Outcome
	err      error
	done     chan struct{}
}

// run plays all and returns the exit code.
func (d demo) run(ctx context.Context, complaints io.Writer) int {
	if err := d.play(ctx); err != nil {
		fmt.Fprintln(complaints, "whyreset demo:", err)
		return 1
	}
	return 0
}

// play plays all and shows each one as soon as it and those before it are done. It fails if one was not as it must be.
func (d demo) play(ctx context.Context) error {
	start := time.Now()
	acts, left := d.acts()
	d.show.opening(len(acts), lab.Available(), scenario.HasTransparent())
	free := make(chan struct{}, playedAtOnce)
	go func() {
		for _, a := range acts {
			free <- struct{}{}
			go func() {
				defer func() { <-free }()
				a.play(ctx, d.program)
			}()
		}
	}()
	var errs []error
	good := 0
	for i, a := range acts {
		<-a.done
		if a.err != nil {
			errs = append(errs, a.err)
		}
		if a.ok() {
			good++
		}
		d.show.act(i+1, a)
	}
	d.show.closing(good, len(acts), left, time.Since(start))
	if good < len(acts) {
		errs = append(errs, fmt.Errorf("%d of %d connections were not explained, or not carried, as they must be", len(acts)-good, len(acts)))
	}
	return errors.Join(errs...)
}

// acts are the scenarios that can be played here, and why others are left out, a line for each reason.
func (d demo) acts() (acts []*act, left []string) {
	hosts, transparent := lab.Available() == nil, scenario.HasTransparent() == nil
	var reasons []string
	ids := map[string][]string{}
	for _, s := range d.scenarios {
		if missing := lacks(s); missing != nil {
			why := missing.Error()
			if ids[why] == nil {
				reasons = append(reasons, why)
			}
			ids[why] = append(ids[why], s.ID)
			continue
		}
		place := scenario.Place{Hosts: hosts, IPv6: s.Family == 6, Transparent: transparent && !s.Forward}
		acts = append(acts, &act{scenario: s, place: place, done: make(chan struct{})})
	}
	for _, why := range reasons {
		left = append(left, fmt.Sprintf("%s: %s", strings.Join(ids[why], ", "), why))
	}
	return acts, left
}

// lacks says what is missing for the scenario, nil for nothing.
func lacks(s scenario.Scenario) error {
	if len(s.Needs) == 0 {
		return nil
	}
	if err := lab.Available(); err != nil {
		return err
	}
	if slices.Contains(s.Needs, lab.NFT) {
		if err := lab.HasNFT(); err != nil {
			return err
		}
	}
	if slices.Contains(s.Needs, lab.SS) {
		return lab.HasSS()
	}
	return nil
}

// play plays the scenario with and without the proxy at the same time.
func (a *act) play(ctx context.Context, program scenario.Program) {
	defer close(a.done)
	var without sync.WaitGroup
	var directErr error
	if a.scenario.Comparable(a.place) {
		without.Go(func() { a.direct, directErr = scenario.PlayDirect(ctx, a.scenario, a.place, program) })
	}
	a.through, a.err = scenario.Play(ctx, a.scenario, a.place, program)
	without.Wait()
	a.err = errors.Join(a.err, directErr)
}

// ok says whether the verdict names the truth and the proxy changed nothing.
func (a *act) ok() bool {
	return a.err == nil && scenario.Right(a.scenario.Cause, a.through.Verdict()) && a.same()
}

// same says whether the end was the same with and without the proxy, for the one who did not bring it about.
func (a *act) same() bool {
	return !a.scenario.Comparable(a.place) || scenario.Same(a.direct.View(a.scenario.Side), a.through.Outcome.View(a.scenario.Side))
}
