package scenario

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"whyreset/diagnose"
	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
)

// Scenario is one way to bring a cause about.
type Scenario struct {
	ID    string
	Cause string        // the truth: an ID of the catalogue
	Side  diagnose.Side // and the leg on which it came about
	Story string        // what happens, a sentence for people

	// Needs says what the scenario cannot do without. If empty it runs on plain loopback too.
	Needs []lab.Feature
	// Family is 4 or 6 for what exists in that IP version only; zero is both.
	Family int
	// NearServer puts the proxy on the server's host, so that the network lies between it and the client. Otherwise it is
	// on the client's. On loopback there is no difference.
	NearServer bool
	// Delay is how long a packet is under way between the router and the server, each way.
	Delay time.Duration
	// Jitter is how much longer it may be, at random. It needs a Delay.
	Jitter time.Duration
	// Proxy is how the proxy is set up.
	Proxy Settings
	// Forward says that it cannot be had with a transparent proxy.
	Forward bool
	// OnProxy says that what is done is done on the proxy's host. Without a proxy, that is the host of the client.
	OnProxy bool
	// Ours says that the proxy or its socket is what ends the connection: there is nothing to compare without it.
	Ours bool
	// Last says that the verdict in question is that of the last connection the proxy took, not of the first.
	Last bool
	// Heard is what is as true: the cause that is left where nothing is heard of the other, which does no harm.
	Heard string
	// Shown are the sources of which one is needed to see the cause. Nil: sockets show it.
	Shown []evidence.Source

	// Run plays client and server. It returns when both have ended.
	Run func(context.Context, *Env) (Outcome, error)
}

// packets stands for what sockets cannot show.
var packets = []evidence.Source{evidence.Packets}

var all []Scenario

func register(s Scenario) {
	all = append(all, s)
}

// All returns the scenarios in order of cause and ID.
func All() []Scenario {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b Scenario) int {
		if c := strings.Compare(a.Cause, b.Cause); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return sorted
}

// ByID finds a scenario.
func ByID(id string) (Scenario, bool) {
	i := slices.IndexFunc(all, func(s Scenario) bool { return s.ID == id })
	if i < 0 {
		return Scenario{}, false
	}
	return all[i], true
}

// Place is where a scenario is played: on loopback, or between hosts of the lab.
type Place struct {
	Hosts, IPv6 bool
	Transparent bool // the proxy is on a gateway and takes the connections that the client makes to the server (tproxy), as the client
}

func (p Place) String() string {
	where, family := "loopback", "IPv4"
	switch {
	case p.Transparent:
		where = "gateway"
	case p.Hosts:
		where = "lab"
	}
	if p.IPv6 {
		family = "IPv6"
	}
	return fmt.Sprintf("%s %s", where, family)
}

// Comparable says whether there is something to compare without the proxy.
func (s Scenario) Comparable(p Place) bool { return !s.Ours && !(s.OnProxy && p.Transparent) }

var places = []Place{{}, {IPv6: true}, {Hosts: true}, {Hosts: true, IPv6: true},
	{Hosts: true, Transparent: true}, {Hosts: true, Transparent: true, IPv6: true}}

// Places are those where the scenario can be played, given what it needs.
func (s Scenario) Places() []Place {
	var fit []Place
	for _, p := range places {
		wrongFamily := s.Family == 4 && p.IPv6 || s.Family == 6 && !p.IPv6
		if !wrongFamily && (p.Hosts || len(s.Needs) == 0) && !(p.Transparent && s.Forward) {
			fit = append(fit, p)
		}
	}
	return fit
}
