// Package diagnose turns the evidence of one connection into a verdict: who ended it, why, how sure that
// is, whether it hurt and what to do.
//
//	v := diagnose.Diagnose(ev)
//	fmt.Println(v.Sentence, v.Cause, v.Confidence)
//
// It is pure: no clock, no I/O, the same evidence gives the same verdict. What each cause looks like
// stands in package cause; how evidence is gathered, and how a verdict is shown, is not known here.
package diagnose

import (
	"time"

	"whyreset/diagnose/cause"
)

// Verdict is the answer for one connection. Its words are contracts of the record.
type Verdict struct {
	Action     Action
	Side       Side
	Origin     cause.Origin
	Cause      string         // ID in the catalogue
	Confidence cause.Strength // Possible, Likely or Conclusive
	Impact     Impact
	Phase      cause.Phase
	Idle       time.Duration // from the last byte either way to the end

	Sentence     string       // what happened, with this connection's numbers; no full stop
	Advice       []string     // imperative, most useful first
	Timers       []string     // known timers that fit idle time and shape, a sentence each
	For, Against []cause.Cite // the evidence, strongest first
	Missing      []string     // what would have settled it
	Alternatives []string     // IDs; only members of a family of Cause
}

// Action is how the connection ended, in the words of ECS event.action.
type Action string

const (
	Closed      Action = "connection_closed"
	Reset       Action = "connection_reset"
	Refused     Action = "connection_refused"
	TimedOut    Action = "connection_timed_out"
	Unreachable Action = "connection_unreachable"
)

// Side is the leg on which the end came about.
type Side string

const (
	SideUpstream   Side = "upstream"
	SideDownstream Side = "downstream"
	SideProxy      Side = "proxy"
	SideUnknown    Side = "unknown"
)

// Impact is what the end cost somebody.
type Impact string

const (
	NoImpact          Impact = "none"
	AnswerCut         Impact = "answer_cut"
	RequestUnanswered Impact = "request_unanswered"
	UploadCut         Impact = "upload_cut"
	UnknownImpact     Impact = "unknown"
)

// Harmful says that somebody lost something, or may have: such verdicts are warnings.
func (v *Verdict) Harmful() bool { return v.Impact != NoImpact }
