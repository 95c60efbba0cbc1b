// Package cause is the catalogue: one file for each cause, with the rule that recognises it and the words
// that explain it.
//
//	c := cause.Read(ev)
//	for _, k := range cause.All() {
//		finding := k.Rule(c)
//	}
//
// A rule is pure: it looks at one Case and says how strongly the evidence speaks for its cause. It does
// not compare causes; package diagnose ranks the findings. IDs are a contract with everybody's logs and
// dashboards: never renamed, never used again for something else.
package cause

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"whyreset/diagnose/evidence"
)

// Cause is one reason for which a connection ends.
type Cause struct {
	ID     string
	Origin Origin   // the usual maker; a finding may say otherwise
	Title  string   // a few words, no full stop
	Text   string   // the explanation, for someone who knows TCP a little
	Advice []string // what to do, imperative, most useful first
	Alike  []Alike  // what looks like it, and how to tell
	Beats  []string // less specific causes that are dropped when this one is found as strong
	Rule   Rule
	// Unlabbed says why no scenario of the lab brings it about, a clause without a full stop. Empty: one does.
	Unlabbed string
	IETF     int    // reset cause code of draft-ietf-tcpm-rst-diagnostic-payload; zero: none fits
	HAProxy  string // HAProxy's termination state for it, if it has one
	Envoy    string // Envoy's response flag or close type for it, if it has one
}

// Alike names another cause that is easily taken for this one.
type Alike struct{ ID, Tell string }

// Rule looks for one cause. Pure: same case, same finding.
type Rule func(*Case) Finding

// Origin is who made the end.
type Origin string

const (
	Application Origin = "application" // the peer's live socket was closed or destroyed
	Host        Origin = "host"        // its TCP stack has no such socket
	Path        Origin = "path"        // a device between
	Network     Origin = "network"     // silence, loss
	Local       Origin = "local"       // this host
	Proxy       Origin = "proxy"       // our own doing
	Unknown     Origin = "unknown"
)

// Strength is how much the evidence says. Silent, the zero value, is a rule with nothing to say.
type Strength int8

const (
	Excluded   Strength = iota - 1 // the evidence speaks against it for certain
	Silent                         // the rule does not apply
	Possible                       // it fits, and so do others
	Likely                         // it fits better than anything else known to look like this
	Conclusive                     // nothing else can look like this
)

func (s Strength) String() string {
	return [...]string{"excluded", "silent", "possible", "likely", "conclusive"}[s+1]
}

// Finding is what a rule says of a case. The zero value is silence.
type Finding struct {
	Strength Strength
	Origin   Origin // empty: the cause's usual one
	Sentence string // what happened, with the numbers of this case; no full stop
	For      []Cite
	Against  []Cite
	Advice   []string // those of the cause's that apply; nil: all
	Settle   []string // sources or acts that would decide, imperative or noun
}

// Cite is one piece of evidence in words.
type Cite struct {
	Source evidence.Source
	Says   string
}

var catalogue []Cause

func register(c Cause) Cause {
	catalogue = append(catalogue, c)
	return c
}

// All is the catalogue in order of ID. It is shared: not to be changed.
var All = sync.OnceValue(func() []Cause {
	all := slices.Clone(catalogue)
	slices.SortFunc(all, func(a, b Cause) int { return strings.Compare(a.ID, b.ID) })
	return all
})

// ByID finds a cause; ok is false for an ID that is not in the catalogue.
func ByID(id string) (c Cause, ok bool) {
	i := slices.IndexFunc(catalogue, func(c Cause) bool { return c.ID == id })
	if i < 0 {
		return Cause{}, false
	}
	return catalogue[i], true
}

// Families are the sets of causes that packets alone may be unable to part. They are fixed: only a
// member of a family of the first cause may stand among a verdict's alternatives.
var Families = [][]string{
	{"app_abort", "app_close_unread"},
	{"stale_connection", "firewall_reject"},
	{"port_closed", "firewall_reject"},
	{"injected_reset", "firewall_reject"},
	{"connect_timeout"},
}

// say fills in a sentence.
func say(format string, args ...any) string { return fmt.Sprintf(format, args...) }

func saw(format string, args ...any) Cite {
	return Cite{Source: evidence.Sockets, Says: fmt.Sprintf(format, args...)}
}

func packets(format string, args ...any) Cite {
	return Cite{Source: evidence.Packets, Says: fmt.Sprintf(format, args...)}
}

// saw cites what was seen of the ending's leg.
func (c *Case) saw(format string, args ...any) Cite {
	return Cite{Source: c.seen(), Says: fmt.Sprintf(format, args...)}
}

// seen is how the ended leg was watched: by its sockets, or, where those were not watched, by its packets.
func (c *Case) seen() evidence.Source {
	if c.onWire() {
		return evidence.Packets
	}
	return evidence.Sockets
}

func did(format string, args ...any) Cite {
	return Cite{Source: evidence.Self, Says: fmt.Sprintf(format, args...)}
}
