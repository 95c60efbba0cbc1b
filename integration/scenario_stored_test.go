package integration

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/evidence"
	"whyreset/diagnose/record"
	"whyreset/diagnose/replay"
	"whyreset/integration/lab"
	"whyreset/integration/scenario"
)

var recordAnew = flag.Bool("record", false, "play every scenario anew, with all sources, and store its record")

const (
	storedDir  = "scenario/testdata"
	storedPage = "scenario/README.md"
)

func storedFile(s scenario.Scenario) string { return filepath.Join(storedDir, s.ID+".json") }

// home is where a scenario is played to be stored: between hosts wherever it can be.
func home(s scenario.Scenario) scenario.Place {
	places := s.Places()
	for _, p := range places {
		if p.Hosts && !p.Transparent {
			return p
		}
	}
	return places[0]
}

// storeAll plays each scenario once more and keeps its record, if the verdict is right.
func storeAll(t *testing.T) {
	if lab.InUserNamespace() || os.Geteuid() != 0 {
		t.Fatal("all sources are watched only as root, and with WHYRESET_LAB=here: make record")
	}
	if err := os.MkdirAll(storedDir, 0o755); err != nil {
		t.Fatal(err)
	}
	free := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for _, s := range scenarios() {
		if !only.MatchString(s.ID) {
			continue
		}
		p := home(s)
		if skip, err := missing(s, p); skip != "" || err != nil {
			t.Errorf("%s cannot be recorded here: %s%v", s.ID, skip, err)
			continue
		}
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			if err := store(s, p); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func store(s scenario.Scenario, p scenario.Place) error {
	line, err := lineOf(s, p)
	if err != nil {
		return err
	}
	c, err := record.Parse(line)
	if err != nil || c.Evidence == nil {
		return fmt.Errorf("%s: its record cannot be read: %w", s.ID, err)
	}
	if v := diagnose.Diagnose(c.Evidence); !scenario.Right(s.Cause, v) {
		return fmt.Errorf("%s: not stored, for the verdict is %s and not %s: %s\n%+v\n%s", s.ID, v.Cause, s.Cause, v.Sentence, c.Evidence.Coverage, lines(c.Evidence))
	}
	return os.WriteFile(storedFile(s), line, 0o644)
}

// lineOf plays a scenario and returns the record of the proxy; of what its sockets hear nothing of, that of a capture at the client.
func lineOf(s scenario.Scenario, p scenario.Place) ([]byte, error) {
	if s.Heard == "" {
		r, err := scenario.Play(context.Background(), s, p, program)
		return []byte(r.Report.Record), err
	}
	c := &captured{play: play{scenario: s, place: p}}
	if c.capture(); c.err != nil {
		return nil, c.err
	}
	conn := c.connection(0)
	if conn == nil {
		return nil, fmt.Errorf("%s: no connection was captured", s.ID)
	}
	return captureRecord(s, conn), nil
}

func captureRecord(s scenario.Scenario, c *replay.Connection) []byte {
	ev := c.Evidence()
	h := fnv.New128a()
	h.Write([]byte(s.ID))
	return record.Append(nil, &record.Connection{
		ID: record.FixedID(c.First, [16]byte(h.Sum(nil))), Sequence: 1, Start: c.First, Duration: c.Last.Sub(c.First), Destination: c.Server,
		Downstream: record.Leg{Remote: c.Client}, Upstream: record.Leg{Remote: c.Server}, Evidence: &ev, Verdict: diagnose.Diagnose(&ev), File: s.ID + ".pcap",
	})
}

// stored is a scenario with its stored run, judged by what today's rules make of it.
type stored struct {
	scenario.Scenario
	evidence *evidence.Evidence
	columns  []diagnose.Verdict // by scenario.Columns
}

func readStored(s scenario.Scenario) (*stored, error) {
	line, err := os.ReadFile(storedFile(s))
	if err != nil {
		return nil, fmt.Errorf("%s has no stored run: make record: %w", s.ID, err)
	}
	c, err := record.Parse(line)
	if err != nil || c.Evidence == nil {
		return nil, fmt.Errorf("%s: %w", storedFile(s), err)
	}
	run := &stored{Scenario: s, evidence: c.Evidence}
	for _, set := range scenario.Columns {
		run.columns = append(run.columns, diagnose.Diagnose(set.Of(c.Evidence)))
	}
	if !run.captured() {
		return run, nil
	}
	// Who captures has one source, whatever else would be watched.
	whole := diagnose.Diagnose(c.Evidence)
	run.columns = []diagnose.Verdict{whole, whole, {}}
	return run, nil
}

// captured says that the run is known from a capture alone.
func (s *stored) captured() bool { return s.Heard != "" }

// Every scenario has a stored run; what is said of it is right, whatever sources are left out; and the page says the same.
func TestStoredRuns(t *testing.T) {
	if *recordAnew {
		storeAll(t)
	}
	var runs []*stored
	for _, s := range scenarios() {
		run, err := readStored(s)
		if err != nil {
			t.Error(err)
			continue
		}
		runs = append(runs, run)
		t.Run(s.ID, func(t *testing.T) {
			if v := run.columns[0]; !scenario.Right(s.Cause, v) || v.Side != s.Side {
				t.Errorf("got %s or one of %q on side %s, want %s on side %s: %s", v.Cause, v.Alternatives, v.Side, s.Cause, s.Side, v.Sentence)
			}
			if run.captured() {
				return
			}
			for _, set := range scenario.Subsets {
				if v := diagnose.Diagnose(set.Of(run.evidence)); scenario.Overconfident(truth(s, v), v) {
					t.Errorf("%s: got %s, conclusive, want %s", set.Name, v.Cause, s.Cause)
				}
			}
		})
	}
	page := scenarioPage(runs)
	if *update || *recordAnew {
		if err := os.WriteFile(storedPage, page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(storedPage); err != nil || !bytes.Equal(got, page) {
		t.Errorf("%s is stale (%v): go test ./integration -run 'TestStoredRuns$' -update", storedPage, err)
	}
	counts := countColumns(runs)
	for i, goal := range []struct {
		least cause.Strength
		of100 int
	}{{cause.Conclusive, conclusiveOf100}, {cause.Likely, 60}} {
		if n := counts[i].atLeast(goal.least); 100*n < goal.of100*counts[i].total() {
			t.Errorf("%s: %s or better in %d of %d stored runs, want %d %%", scenario.Columns[i].Name, goal.least, n, counts[i].total(), goal.of100)
		}
	}
}

// conclusiveOf100 is what all sources reach. The goal is 90: what is likely at most rests on silence, of which nobody can say who keeps it.
const conclusiveOf100 = 70

// Each cause has a stored run in which it comes first, and one in which something that looks like it does.
func TestStoredRunsOfEachCause(t *testing.T) {
	first := map[string]string{}
	for _, s := range scenarios() {
		if run, err := readStored(s); err == nil && run.columns[0].Cause == s.Cause {
			first[s.Cause] = s.ID
		}
	}
	for _, c := range cause.All() {
		switch {
		case c.Unlabbed != "":
			if first[c.ID] != "" {
				t.Errorf("%s is brought about by %s, and its file says that it cannot be: %s", c.ID, first[c.ID], c.Unlabbed)
			}
			continue
		case first[c.ID] == "":
			t.Errorf("%s comes first in no stored run: add integration/scenario/%s.go, or say in its file why it is Unlabbed", c.ID, c.ID)
		}
		alike := len(c.Alike) == 0 // then nothing is known to be
		for _, a := range c.Alike {
			alike = alike || first[a.ID] != ""
		}
		if !alike {
			t.Errorf("%s: nothing that looks like it comes first in a stored run", c.ID)
		}
	}
}

func countColumns(runs []*stored) []tally {
	counts := make([]tally, len(scenario.Columns))
	for _, run := range runs {
		for i, v := range run.columns {
			if v.Cause != "" {
				counts[i].add(run.Scenario, v)
			}
		}
	}
	return counts
}

func (t *tally) atLeast(least cause.Strength) (n int) {
	for s := least; s <= cause.Conclusive; s++ {
		n += t[s].all
	}
	return n
}

// scenarioPage is the README of the scenarios: what was done, and what is said of it.
func scenarioPage(runs []*stored) []byte {
	var b bytes.Buffer
	b.WriteString(`# What was done, and what is said of it

<!-- Made from the stored runs by go test ./integration -run TestStoredRuns -update; make record plays them anew. -->

Each scenario brings one cause about for real, so its truth is known from what was done. The run of each that is stored in
[testdata](testdata) was watched by every source; its verdict is given three times: by all of them, without the kernel's witness, and by
the proxy's sockets alone, as a process without any right sees it. In bold what is not the truth; in brackets what the verdict
leaves open. Where a connection goes on and a socket hears nothing, the run is a capture at the client's.

| | all sources | without witness | sockets only |
|---|---:|---:|---:|
`)
	counts := countColumns(runs)
	row := func(name string, of func(*tally) string) {
		fmt.Fprintf(&b, "| %s |", name)
		for i := range counts {
			fmt.Fprintf(&b, " %s |", of(&counts[i]))
		}
		b.WriteString("\n")
	}
	share := func(n, of int) string { return fmt.Sprintf("%d (%d %%)", n, (200*n+of)/(2*of)) }
	row("runs", func(t *tally) string { return fmt.Sprint(t.total()) })
	for s := cause.Conclusive; s >= cause.Possible; s-- {
		row(s.String(), func(t *tally) string { return share(t[s].all, t.total()) })
	}
	row("right, or open with the truth inside", func(t *tally) string { return share(t.right(), t.total()) })
	row("conclusive and wrong", func(t *tally) string { return fmt.Sprint(t[cause.Conclusive].all - t[cause.Conclusive].first) })
	b.WriteString("\n| scenario | truth | all sources | without witness | sockets only |\n|---|---|---|---|---|\n")
	for _, run := range runs {
		fmt.Fprintf(&b, "| [%s](testdata/%s.json) | %s |", run.ID, run.ID, run.Cause)
		for _, v := range run.columns {
			b.WriteString(" " + cell(run.Scenario, v) + " |")
		}
		b.WriteString("\n")
	}
	b.WriteString("\n## In words\n")
	for i, run := range runs {
		if i == 0 || runs[i-1].Cause != run.Cause {
			fmt.Fprintf(&b, "\n### %s\n\n", run.Cause)
		}
		v := run.columns[0]
		fmt.Fprintf(&b, "- **%s.** %s\n  *%s* (%s)\n", run.ID, run.Story, v.Sentence, v.Confidence)
	}
	b.WriteString("\n## What is not brought about\n\n")
	for _, c := range cause.All() {
		if c.Unlabbed != "" {
			fmt.Fprintf(&b, "- %s: %s.\n", c.ID, c.Unlabbed)
		}
	}
	return b.Bytes()
}

func cell(s scenario.Scenario, v diagnose.Verdict) string {
	if v.Cause == "" {
		return "heard of nothing"
	}
	text := v.Cause
	switch {
	case v.Cause == truth(s, v):
		text = "✓"
	case !scenario.Right(s.Cause, v):
		text = "**" + text + "**"
	}
	text = v.Confidence.String() + " " + text
	if len(v.Alternatives) > 0 {
		text += " (" + strings.Join(v.Alternatives, ", ") + ")"
	}
	return text
}

func (t *tally) right() (n int) {
	for s := range t {
		n += t[s].right
	}
	return n
}
