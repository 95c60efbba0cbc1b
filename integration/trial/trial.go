package trial

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"whyreset/diagnose"
	"whyreset/integration/lab"
	"whyreset/integration/scenario"
)

// Trial is one connection to be had and cut. Its scenario is not registered: it exists for this trial.
type Trial struct {
	Seed     uint64
	Number   int
	Scenario scenario.Scenario // its ID is the way in which the connection ends
	Place    scenario.Place
	Also     []string // causes that are as true as the scenario's
	Reasons  []string // the kernel's, of which one must be that of the far end's first reset where it can be heard; nil: any or none
	Offload  bool     // segments are merged: TSO, GSO and GRO
}

// way is one way to end a connection.
type way struct {
	id, cause string
	also      []string
	story     string
	sides     []diagnose.Side // where it may come about; nil: on either leg
	onPath    bool            // what is done is done between the proxy and the side, by the router or a host's rules
	needs     []lab.Feature
	proxy     scenario.Settings
	delay     time.Duration // the least that it takes; zero: none
	reasons   []string      // for which the far end's kernel sends its first reset; nil: it sends none of itself
	play      func(*player) (scenario.Outcome, error)
}

var (
	ways       = slices.Concat(peerWays, endWays, pathWays, forgedWays, openingWays, localWays)
	eitherSide = []diagnose.Side{diagnose.SideUpstream, diagnose.SideDownstream}
	atServer   = []diagnose.Side{diagnose.SideUpstream}
	atClient   = []diagnose.Side{diagnose.SideDownstream}
)

// Ways is how many ways there are to end a connection.
func Ways() int { return len(ways) }

// longestDelay is what a packet may be under way between the router and the next host.
const longestDelay = 50 * time.Millisecond

// Draw makes the trial of that number. transparent says that the proxy may stand on a gateway.
func Draw(seed uint64, number int, transparent bool) Trial {
	rng := rand.New(rand.NewPCG(seed, uint64(number)))
	w := ways[number%len(ways)]
	sides := w.sides
	if sides == nil {
		sides = eitherSide
	}
	side := sides[rng.IntN(len(sides))]
	t := Trial{Seed: seed, Number: number, Also: w.also, Reasons: w.reasons, Offload: rng.IntN(2) == 0,
		Place: scenario.Place{Hosts: true, IPv6: rng.IntN(2) == 0, Transparent: rng.IntN(3) == 0 && transparent}}
	s := scenario.Scenario{ID: w.id, Cause: w.cause, Side: side, Story: w.story, Needs: append([]lab.Feature{lab.Netns}, w.needs...), Proxy: w.proxy}
	// The network lies between the proxy and the side where something is done to it; else on either of them.
	s.NearServer = rng.IntN(2) == 0
	if w.onPath {
		s.NearServer = side == diagnose.SideDownstream
	}
	if rng.IntN(3) > 0 {
		s.Delay = time.Duration(rng.Int64N(int64(longestDelay)))
	}
	s.Delay = max(s.Delay, w.delay)
	plan := rng.Uint64()
	s.Run = func(ctx context.Context, e *scenario.Env) (scenario.Outcome, error) {
		for _, h := range []*lab.Host{e.Net.Client, e.Net.Gateway, e.Net.Router, e.Net.Server} {
			if h == nil {
				continue
			}
			if err := h.Offload(t.Offload); err != nil {
				return scenario.Outcome{}, err
			}
		}
		// A draw of its own, so that the plan does not depend on what was drawn before.
		p := &player{ctx: ctx, Env: e, rng: rand.New(rand.NewPCG(seed, plan)), side: side, delay: s.Delay, ended: make(chan struct{})}
		return w.play(p)
	}
	t.Scenario = s
	return t
}

// Truths are the causes that are right to name, the nearest first.
func (t Trial) Truths() []string { return append([]string{t.Scenario.Cause}, t.Also...) }

func (t Trial) String() string {
	where := "proxy near the client"
	if t.Scenario.NearServer {
		where = "proxy near the server"
	}
	offload := "off"
	if t.Offload {
		offload = "on"
	}
	return fmt.Sprintf("%d %s %s, %v, %s, %v delay, offloads %s", t.Number, t.Scenario.ID, t.Scenario.Side, t.Place, where,
		t.Scenario.Delay.Round(time.Millisecond/10), offload)
}
