package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

// Result is what came of a scenario played through the proxy.
type Result struct {
	Scenario Scenario
	Place    Place
	Outcome  Outcome
	Report   Report // of the connection in question
	Took     time.Duration
}

// Verdict is what the proxy said.
func (r Result) Verdict() diagnose.Verdict { return r.Report.Verdict }

// patience bounds one play. All of them need two seconds or so.
const patience = 20 * time.Second

// Play plays the scenario through the proxy.
func Play(ctx context.Context, s Scenario, p Place, program Program) (Result, error) {
	r := Result{Scenario: s, Place: p}
	start := time.Now()
	reports, err := play(ctx, s, p, program, false, nil, &r.Outcome)
	r.Took = time.Since(start)
	if err != nil {
		return r, fmt.Errorf("%s, %v: %w", s.ID, p, err)
	}
	if len(reports) == 0 {
		return r, fmt.Errorf("%s, %v: the proxy reported no connection; client: %v, %v", s.ID, p, r.Outcome.Client, r.Outcome.DialErr)
	}
	slices.SortFunc(reports, func(a, b Report) int { return int(a.Number) - int(b.Number) })
	r.Report = reports[0]
	if s.Last {
		r.Report = reports[len(reports)-1]
	}
	return r, nil
}

// PlayDirect plays the scenario without the proxy.
func PlayDirect(ctx context.Context, s Scenario, p Place, program Program) (out Outcome, err error) {
	return PlayWatched(ctx, s, p, program, nil)
}

// PlayWatched is PlayDirect with somebody looking on: watch is called when the hosts are there, and what it returns when the
// connections are over and the hosts are not gone yet.
func PlayWatched(ctx context.Context, s Scenario, p Place, program Program, watch Watch) (out Outcome, err error) {
	if _, err = play(ctx, s, p, program, true, watch, &out); err != nil {
		err = fmt.Errorf("%s, %v, without the proxy: %w", s.ID, p, err)
	}
	return out, err
}

// Watch begins to look at the hosts.
type Watch func(*lab.Net) (over func() error, err error)

func play(ctx context.Context, s Scenario, p Place, program Program, direct bool, watch Watch, out *Outcome) (reports []Report, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	e, err := newEnv(s, p, program, direct)
	if err != nil {
		return nil, err
	}
	over := func() error { return nil }
	if watch != nil {
		if over, err = watch(e.Net); err != nil {
			return nil, errors.Join(err, e.close())
		}
	}
	*out, err = s.Run(ctx, e)
	e.endAll()
	err = errors.Join(err, out.Client.Trouble, out.Server.Trouble, over(), e.close())
	for _, proxy := range e.proxies {
		reports, err = append(reports, proxy.reports...), errors.Join(err, proxy.err)
	}
	return reports, err
}
