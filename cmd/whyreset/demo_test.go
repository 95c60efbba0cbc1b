package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"whyreset/integration/lab"
	"whyreset/integration/scenario"
)

// demoPartVar names the part that this program is to play instead of running tests.
const demoPartVar = "WHYRESET_DEMO_TEST_PART"

func init() {
	switch part := os.Getenv(demoPartVar); part {
	case "":
	case "the demo":
		os.Exit(lab.Main(func() int {
			d := demo{scenarios: demoScenarios(), program: playTestPart, show: textShow{os.Stdout}}
			return d.run(context.Background(), os.Stderr)
		}))
	default:
		os.Exit(scenario.Part(part, startDemoProxy))
	}
}

func playTestPart(part string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	// Under the race detector a process would wait for a second before it ends.
	cmd.Env = append(os.Environ(), demoPartVar+"="+part, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// demoLine is a line of --format json.
type demoLine struct {
	Scenario, Place, Truth, Cause, Side, Origin, Confidence, Direct, Through string
	Alternatives                                                             []string
	OK                                                                       *bool
}

func runDemo(t *testing.T, scenarios []scenario.Scenario) (lines []demoLine, complaints string, code int) {
	t.Helper()
	var out, complain bytes.Buffer
	d := demo{scenarios: scenarios, program: playTestPart, show: shows["json"](&out)}
	code = d.run(t.Context(), &complain)
	dec := json.NewDecoder(&out)
	dec.DisallowUnknownFields()
	for dec.More() {
		var line demoLine
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if line.OK == nil || line.Alternatives == nil {
			t.Fatalf("%s: ok or alternatives are left out", line.Scenario)
		}
		lines = append(lines, line)
	}
	return lines, complain.String(), code
}

func TestDemo(t *testing.T) {
	lines, complaints, code := runDemo(t, demoScenarios())
	if code != 0 {
		t.Errorf("exit code: got %d, want 0\n%s", code, complaints)
	}
	for _, l := range lines {
		if !*l.OK || l.Cause == "" || l.Side == "" || l.Origin == "" || l.Confidence == "" || l.Through == "" {
			t.Errorf("got %+v", l)
		}
	}
	if skip, err := lab.Need(lab.NFT); err != nil || skip == "" {
		for _, l := range lines {
			if !strings.HasPrefix(l.Place, "gateway ") {
				t.Errorf("%s: played in %q, want it through a transparent proxy on a gateway: %v", l.Scenario, l.Place, scenario.HasTransparent())
			}
		}
	}
	if len(lines) < 12 {
		t.Errorf("got %d scenarios, want those at least that need nothing but loopback", len(lines))
	}
}

func TestDemoNoticesAWrongTruth(t *testing.T) {
	var both []scenario.Scenario
	for _, id := range []string{"closed-port", "server-resets", "half-close"} {
		s, ok := scenario.ByID(id)
		if !ok {
			t.Fatal("there is no scenario", id)
		}
		both = append(both, s)
	}
	both[0].Cause, both[1].Cause = both[1].Cause, both[0].Cause
	lines, complaints, code := runDemo(t, both)
	if code != 1 || !strings.Contains(complaints, "2 of 3") {
		t.Errorf("got exit code %d and %q, want 1 and a word on 2 of 3", code, complaints)
	}
	for i, l := range lines {
		if want := i == 2; *l.OK != want {
			t.Errorf("%s: ok: got %v, want %v", l.Scenario, *l.OK, want)
		}
	}
}

// A proxy that changes what the client sees is as bad as a wrong verdict.
func TestDemoNoticesADifference(t *testing.T) {
	s, ok := scenario.ByID("server-resets")
	if !ok {
		t.Fatal("there is no such scenario")
	}
	calm, ok := scenario.ByID("server-hangs-up")
	if !ok {
		t.Fatal("there is no such scenario")
	}
	a := act{scenario: s}
	for _, p := range []struct {
		of  scenario.Scenario
		out *scenario.Outcome
	}{{s, &a.direct}, {calm, &a.through.Outcome}} {
		var err error
		if *p.out, err = scenario.PlayDirect(t.Context(), p.of, scenario.Place{}, playTestPart); err != nil {
			t.Fatal(err)
		}
	}
	a.through.Report.Verdict.Cause = s.Cause
	if a.same() || a.ok() {
		t.Errorf("%v without the proxy and %v with it pass for the same", a.direct.View(s.Side), a.through.Outcome.View(s.Side))
	}
	a.through.Outcome = a.direct
	if !a.ok() {
		t.Error("the same end twice does not pass for the same")
	}
}

// Whoever kills the demo is rid of all that it has started.
func TestDemoLeavesNoProcess(t *testing.T) {
	cmd := playTestPart("the demo")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	// Inherited by everything that the demo starts, so its end is that of the last of them.
	held, holder, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	cmd.Stderr = holder
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	holder.Close()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Error(err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if err := held.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, held); err != nil {
		t.Errorf("waiting for the end of all processes: %v", err)
	}
}
