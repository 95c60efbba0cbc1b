package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/replay"
	"whyreset/integration/lab"
	"whyreset/integration/scenario"
)

// viewpoints are where one may capture: at the client, on the router between, at the server.
var viewpoints = []struct {
	name, port string
	host       func(*lab.Net) *lab.Host
}{
	{"at the client", "eth0", func(n *lab.Net) *lab.Host { return n.Client }},
	{"between", "toserver", func(n *lab.Net) *lab.Host { return n.Router }},
	{"at the server", "eth0", func(n *lab.Net) *lab.Host { return n.Server }},
}

// captured is one scenario without a proxy, as it looks from each viewpoint.
type captured struct {
	play
	seen [3][]*replay.Connection
}

// capture plays the scenario and captures.
func (c *captured) capture() {
	c.result.Outcome, c.err = scenario.PlayWatched(context.Background(), c.scenario, c.place, program, func(n *lab.Net) (func() error, error) {
		var running [3]*lab.Capture
		for i, v := range viewpoints {
			var err error
			if running[i], err = v.host(n).Capture(v.port); err != nil {
				return nil, err
			}
		}
		return func() error {
			var errs []error
			for i := range running {
				frames, err := running[i].Frames()
				errs = append(errs, err)
				c.seen[i] = connectionsIn(frames)
			}
			return errors.Join(errs...)
		}, nil
	})
}

// connection is the one in question, as seen from a viewpoint; nil when none was seen.
func (c *captured) connection(viewpoint int) (conn *replay.Connection) {
	for _, other := range c.seen[viewpoint] {
		if conn == nil || other.First.Before(conn.First) != c.scenario.Last {
			conn = other
		}
	}
	return conn
}

// connectionsIn are the connections of a capture, in order of their beginning.
func connectionsIn(frames []lab.Frame) (all []*replay.Connection) {
	t := replay.NewTracker(func(c *replay.Connection) { all = append(all, c) })
	for i, f := range frames {
		t.Add(&replay.Frame{Number: i + 1, At: f.At, Link: 1, Wire: len(f.Bytes), Data: f.Bytes})
	}
	t.Flush()
	return all
}

// captureAll plays every scenario without a proxy between hosts, where there is something to capture. It is done once for all tests.
var captureAll = sync.OnceValue(func() (all []*captured) {
	for _, s := range scenarios() {
		if !only.MatchString(s.ID) {
			continue
		}
		for _, p := range s.Places() {
			if p.Hosts && !p.Transparent && s.Comparable(p) && s.Cause != "local_firewall" { // which stops packets before they can be seen
				c := &captured{play: play{scenario: s, place: p}}
				c.skip, c.err = missing(s, p)
				all = append(all, c)
			}
		}
	}
	free := make(chan struct{}, atOnce)
	var running sync.WaitGroup
	for _, c := range all {
		if c.skip != "" || c.err != nil {
			continue
		}
		free <- struct{}{}
		running.Go(func() {
			defer func() { <-free }()
			c.capture()
		})
	}
	running.Wait()
	return all
})

// What happened must be found from packets alone too, wherever they were captured.
func TestScenarioVerdictsByCaptures(t *testing.T) {
	all := captureAll()
	var table strings.Builder
	var sharp [cause.Conclusive + 1]struct{ all, right int }
	for _, c := range all {
		for i, v := range viewpoints {
			t.Run(c.name()+" "+v.name, func(t *testing.T) {
				if c.skip != "" {
					t.Skip(c.skip)
				}
				if c.err != nil {
					t.Fatal(c.err)
				}
				victim := (v.name == "at the client") == (c.scenario.Side == diagnose.SideUpstream) && v.name != "between"
				if len(c.seen[i]) == 0 {
					if victim || v.name == "at the client" {
						t.Fatal("no connection was captured")
					}
					return // what was refused on the way does not come here
				}
				conn := c.connection(i)
				ev := conn.Evidence()
				verdict := diagnose.Diagnose(&ev)
				// A silence has an end only when something that came later was answered by a host that had given up.
				victim = victim && (c.scenario.Cause != "path_silent" || conn.Reset != nil)
				for _, fault := range captureFaults(c.scenario, verdict, victim && scenario.Captures.Show(c.scenario)) {
					t.Errorf("%s; %s (%s), also %q", fault, verdict.Sentence, verdict.Confidence, verdict.Alternatives)
				}
				fmt.Fprintf(&table, "%-36s %-14s %-20s %-20s %-10s %-10s %v\n", c.name(), v.name, c.scenario.Cause, verdict.Cause, verdict.Confidence, verdict.Side, verdict.Alternatives)
				if !victim {
					return
				}
				sharp[verdict.Confidence].all++
				if scenario.Right(truth(c.scenario, verdict), verdict) {
					sharp[verdict.Confidence].right++
				}
			})
		}
	}
	t.Logf("scenario, viewpoint, truth, verdict by packets alone:\n%s", &table)
	for s := cause.Possible; s <= cause.Conclusive; s++ {
		t.Logf("%s: right in %d of %d", s, sharp[s].right, sharp[s].all)
	}
}

// captureFaults are what is wrong with a verdict on packets alone. Only where the victim stands the end is sure to be seen:
// elsewhere all that is asked is not to be sure of another one.
func captureFaults(s scenario.Scenario, v diagnose.Verdict, victim bool) (all []string) {
	if scenario.Overconfident(truth(s, v), v) {
		all = append(all, fmt.Sprintf("cause: got %s, conclusive, want %s", v.Cause, truth(s, v)))
	}
	if victim && v.Side != s.Side {
		all = append(all, fmt.Sprintf("side: got %s, want %s", v.Side, s.Side))
	}
	if victim && !scenario.Right(truth(s, v), v) {
		all = append(all, fmt.Sprintf("cause: got %s, want %s", v.Cause, truth(s, v)))
	}
	return all
}
