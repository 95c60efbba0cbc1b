package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/evidence"
	"whyreset/diagnose/record"
	"whyreset/integration/scenario"
)

// Views are the sets of sources by which each trial is judged, the fullest first.
var Views = scenario.Subsets

// Result is what came of a trial.
type Result struct {
	Trial    Trial
	Played   scenario.Result
	Evidence *evidence.Evidence // from the record; nil if it was too much for it
	Verdicts []diagnose.Verdict // by view; only the first one without evidence
	Ordered  []bool             // by view: whether the evidence says which of two ends came first
}

// ErrTooSlow says that a trial's moment had passed before this machine came to it, so that nobody knows what happened. It says
// nothing about the program.
var ErrTooSlow = errors.New("the moment had passed")

// Play plays the trial, and reads the record of the connection.
func Play(ctx context.Context, t Trial, program scenario.Program) (Result, error) {
	r := Result{Trial: t}
	var err error
	if r.Played, err = scenario.Play(ctx, t.Scenario, t.Place, program); err != nil {
		return r, fmt.Errorf("trial %d of seed %d: %w", t.Number, t.Seed, err)
	}
	c, err := record.Parse([]byte(r.Played.Report.Record))
	if err != nil {
		return r, fmt.Errorf("trial %d of seed %d: %w", t.Number, t.Seed, err)
	}
	if r.Evidence = c.Evidence; r.Evidence == nil { // it was more than a record carries: there is the proxy's own word, and no other
		r.Verdicts, r.Ordered = []diagnose.Verdict{r.Played.Verdict()}, []bool{true}
		return r, nil
	}
	for _, v := range Views {
		ev := v.Of(r.Evidence)
		r.Verdicts = append(r.Verdicts, diagnose.Diagnose(ev))
		// Packets alone do not show the end that a socket of ours came to in silence.
		r.Ordered = append(r.Ordered, ev.Coverage.Has(evidence.Sockets) && cause.Read(ev).Ordered)
	}
	return r, nil
}

// Kernel is the reason that the far end's kernel gave for its first reset, as the record has it; empty where it gave none or could not
// be heard.
func (r Result) Kernel() string {
	leg := evidence.Upstream
	if r.Trial.Scenario.Side == diagnose.SideDownstream {
		leg = evidence.Downstream
	}
	if r.Evidence == nil {
		return ""
	}
	for _, o := range r.Evidence.Observations {
		if k, ok := o.What.(evidence.Kernel); ok && k.Sent && k.From == leg {
			return k.Reason
		}
	}
	return ""
}

// first says that the verdict's cause is a truth.
func (t Trial) first(v diagnose.Verdict) bool { return slices.Contains(t.Truths(), v.Cause) }

// right says that a truth is named, if only as an alternative of its family.
func (t Trial) right(v diagnose.Verdict) bool {
	return slices.ContainsFunc(t.Truths(), func(truth string) bool { return scenario.Right(truth, v) })
}

// Missed says that the sources of a view did not lead to a truth.
func (r Result) Missed(view int) bool {
	return view < len(r.Verdicts) && !r.Trial.right(r.Verdicts[view])
}

// Faults are what must not be, whatever the sources: to be certain of what is not so, and to blame a side when the evidence says
// which it was.
func (r Result) Faults() (all []string) {
	for i, v := range r.Verdicts {
		if v.Confidence == cause.Conclusive && !r.Trial.first(v) {
			all = append(all, fmt.Sprintf("%s: got %s, conclusive, want %q", Views[i].Name, v.Cause, r.Trial.Truths()))
		}
		if v.Side != r.Trial.Scenario.Side && v.Side != diagnose.SideUnknown && r.Ordered[i] {
			all = append(all, fmt.Sprintf("%s: got side %s, want %s", Views[i].Name, v.Side, r.Trial.Scenario.Side))
		}
	}
	for _, o := range []struct {
		who    string
		damage error
	}{{"client", r.Played.Outcome.Client.Damage}, {"server", r.Played.Outcome.Server.Damage}} {
		if o.damage != nil {
			all = append(all, fmt.Sprintf("the %s: %v", o.who, o.damage))
		}
	}
	if k := r.Kernel(); k != "" && r.Trial.Reasons != nil && !slices.Contains(r.Trial.Reasons, k) {
		all = append(all, fmt.Sprintf("the kernel's reason is %s, want one of %q: what was done is not what was meant", k, r.Trial.Reasons))
	}
	if told := r.Played.Verdict(); told.Cause != r.Verdicts[0].Cause || told.Confidence != r.Verdicts[0].Confidence {
		all = append(all, fmt.Sprintf("the proxy said %s, %v, and its record says %s, %v", told.Cause, told.Confidence, r.Verdicts[0].Cause, r.Verdicts[0].Confidence))
	}
	return all
}

// Took is how long the trial was.
func (r Result) Took() time.Duration { return r.Played.Took }
