// Package doctor looks at a host through the eyes of a configuration: what would not work there, what will behave
// otherwise than one may think, and what the records will be able to say.
//
//	findings := doctor.Examine(ctx, doctor.Subject{Config: cfg, Plan: plan})
//	if doctor.Worst(findings) == doctor.Fail {
//		… // this configuration cannot do here what it says
//	}
//
// It reads and tries, and changes nothing: no file is made, no rule is put, nothing listens, and nothing is sent but
// look-ups of names (and with Connect, connections). It is not a monitor: each finding is of the moment, and of the process
// that asks. The proxy itself must have the same user, capabilities and namespaces to be what was looked at.
package doctor

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"whyreset/config"
	"whyreset/proxy"
	"whyreset/proxy/kernel"
	"whyreset/proxy/rules"
)

// Level is how much a finding matters.
type Level string

const (
	OK   Level = "ok"
	Note Level = "note" // good to know
	Warn Level = "warn" // works, and will surprise under some condition that Why names
	Fail Level = "fail" // breaks what the configuration says
)

var levels = []Level{OK, Note, Warn, Fail}

// Worst is the gravest level there is.
func Worst(all []Finding) Level {
	worst := 0
	for _, f := range all {
		worst = max(worst, slices.Index(levels, f.Level))
	}
	return levels[worst]
}

// Area is what a finding is about.
type Area string

// Areas, in the order in which they are looked at.
const (
	Kernel     Area = "kernel"
	Privileges Area = "privileges"
	Listeners  Area = "listeners"
	Rules      Area = "rules"
	Network    Area = "network"
	Limits     Area = "limits"
	Log        Area = "log"
	Evidence   Area = "evidence"
	Presence   Area = "presence" // what a proxy changes by being there
)

// Finding is one thing that was looked at.
type Finding struct {
	ID       string `json:"id"` // what was looked at; the same whatever came of it, and never renamed
	Level    Level  `json:"level"`
	Area     Area   `json:"area"`
	Listener string `json:"listener,omitempty"` // the one concerned; empty: the whole host, or all
	What     string `json:"what"`               // what is
	Why      string `json:"why,omitempty"`      // why it matters; empty with OK, and where What says it
	Do       string `json:"do,omitempty"`       // what to do about it; empty when there is nothing to be done
}

// Subject is what to look at.
type Subject struct {
	Config     *config.Config
	ConfigFile string      // where it was read from and would be read again; empty: from no file
	Plan       *rules.Plan // what the configuration asks the kernel for; nil without a placement
	Connect    bool        // also try to reach the upstreams
}

// patience bounds all that could wait for somebody else.
const patience = 5 * time.Second

// Examine looks at everything. It takes a few seconds at most, whatever the network does.
func Examine(ctx context.Context, s Subject) []Finding {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	e := &examiner{Subject: s, read: readFile}
	e.held, _, _ = kernel.Held()
	e.needs = proxy.Needs(s.Config)
	for _, look := range []func(context.Context){
		e.kernel, e.privileges, e.listeners, e.rules, e.network, e.limits, e.log, e.evidence, e.presence,
	} {
		look(ctx)
	}
	return e.findings
}

// examiner is one examination. What it knows of the host comes by its fields and from package kernel.
type examiner struct {
	Subject
	read     func(path string) (string, error) // a file of /proc or /sys, without the blanks around it
	held     kernel.Capabilities
	needs    []proxy.Need
	findings []Finding
}

func (e *examiner) add(f Finding) { e.findings = append(e.findings, f) }

func readFile(path string) (string, error) {
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}

// sysctl is a kernel parameter; false where this kernel or network namespace has none of that name.
func (e *examiner) sysctl(key string) (string, bool) {
	text, err := e.read("/proc/sys/" + strings.ReplaceAll(key, ".", "/"))
	return text, err == nil
}

func (e *examiner) number(key string) (int, bool) {
	text, ok := e.sysctl(key)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// transparent says whether a listener gets what was meant for others.
func (e *examiner) transparent() bool {
	return slices.ContainsFunc(e.Config.Listeners, func(l config.Listener) bool { return l.Mode != config.ModeForward })
}

func (e *examiner) uses(m config.Mode) bool {
	return slices.ContainsFunc(e.Config.Listeners, func(l config.Listener) bool { return l.Mode == m })
}
