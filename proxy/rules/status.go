package rules

import "time"

// ByRun is State.By of rules that whyreset run --rules has put. Its process keeps the lock as long as it lives (Holder), and takes
// the rules away when it ends; without one it was killed.
const ByRun = "whyreset run --rules"

// State is how things stand.
type State struct {
	Known bool   // there is a state file: rules were applied and not removed
	Past  string // why what it tells of cannot be there any more (another boot or network namespace); empty: it can
	Parts []Part

	By       string    // who applied the rules, for people
	Since    time.Time // when
	Plan     string    // Plan.Digest of what was applied
	Released bool      // by Release: new connections go direct
}

// Part is one thing that was put.
type Part struct {
	What  string
	There bool
}

// Complete says whether everything is in place.
func (s State) Complete() bool {
	for _, p := range s.Parts {
		if !p.There {
			return false
		}
	}
	return s.Known && s.Past == ""
}
