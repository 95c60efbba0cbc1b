package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"whyreset/diagnose"
)

// show is a way to tell the demo.
type show interface {
	// opening says how many acts there will be, and why they are not played between hosts, or not with a transparent proxy, if
	// they are not.
	opening(acts int, noHosts, notTransparent error)
	act(number int, a *act)
	closing(good, all int, left []string, took time.Duration)
}

var shows = map[string]func(io.Writer) show{
	"text": func(w io.Writer) show { return textShow{w} },
	"json": func(w io.Writer) show { return jsonShow{json.NewEncoder(w)} },
}

// textShow is for people.
type textShow struct{ w io.Writer }

func (s textShow) opening(acts int, noHosts, notTransparent error) {
	fmt.Fprintf(s.w, "%d connections, each with whyreset between and, if that can be, without", acts)
	switch {
	case noHosts != nil:
		fmt.Fprintf(s.w, ":\non the loopback interface, because %v.\n", noHosts)
	case notTransparent != nil:
		fmt.Fprintf(s.w, ",\nwith no privilege, between hosts made of network namespaces:\n\n    client + whyreset ── router ── server\n\n"+
			"whyreset is what the client connects to. It is not transparent, because %v.\n", notTransparent)
	default:
		fmt.Fprint(s.w, ",\nwith no privilege, between hosts made of network namespaces:\n\n    client ── gateway with whyreset ── router ── server\n\n"+
			"whyreset is transparent (mode tproxy, source client): the client connects to the server, and the server sees the client.\n")
	}
}

func (s textShow) act(number int, a *act) {
	fmt.Fprintf(s.w, "\n%2d  %s\n", number, a.scenario.Story)
	if a.err != nil {
		fmt.Fprintf(s.w, "    could not be played: %v\n", a.err)
		return
	}
	v := a.through.Verdict()
	who := "client"
	if a.scenario.Side == diagnose.SideDownstream {
		who = "server"
	}
	through := a.through.Outcome.View(a.scenario.Side)
	switch direct := a.direct.View(a.scenario.Side); {
	case !a.scenario.Comparable(a.place):
		fmt.Fprintf(s.w, "    %s saw    %v\n", who, through)
	case direct == through:
		fmt.Fprintf(s.w, "    %s saw    %v, with and without whyreset\n", who, through)
	case a.same():
		fmt.Fprintf(s.w, "    %s saw    %v; without whyreset: %v (a proxy knows only after it has answered)\n", who, through, direct)
	default:
		fmt.Fprintf(s.w, "    %s saw    %v; WITHOUT WHYRESET: %v\n", who, through, direct)
	}
	fmt.Fprintf(s.w, "    whyreset says %s\n", v.Sentence)
	fmt.Fprintf(s.w, "                  %s, %v%s; side %s, made by %s\n", v.Cause, v.Confidence, alternatives(v), v.Side, v.Origin)
	if !a.ok() && a.same() {
		fmt.Fprintf(s.w, "    NOT RIGHT     the truth is %s\n", a.scenario.Cause)
	}
}

func alternatives(v diagnose.Verdict) string {
	if len(v.Alternatives) == 0 {
		return ""
	}
	return " (or " + strings.Join(v.Alternatives, ", ") + ")"
}

func (s textShow) closing(good, all int, left []string, took time.Duration) {
	fmt.Fprintf(s.w, "\n%d of %d explained and carried as they must be, in %.1f s\n", good, all, took.Seconds())
	if len(left) > 0 {
		fmt.Fprintf(s.w, "not played:\n  %s\n", strings.Join(left, "\n  "))
	}
}

// jsonShow is for machines: an object a line for each act, and nothing else.
type jsonShow struct{ *json.Encoder }

func (jsonShow) opening(int, error, error) {}

func (jsonShow) closing(int, int, []string, time.Duration) {}

func (s jsonShow) act(_ int, a *act) {
	line := struct {
		Scenario     string   `json:"scenario"`
		Place        string   `json:"place"` // where it was played
		Truth        string   `json:"truth"`
		Cause        string   `json:"cause"`
		Side         string   `json:"side"`
		Origin       string   `json:"origin"`
		Confidence   string   `json:"confidence"`
		Alternatives []string `json:"alternatives"`
		Direct       string   `json:"direct"` // empty: the end is the proxy's own, there is nothing to compare
		Through      string   `json:"through"`
		OK           bool     `json:"ok"`
	}{Scenario: a.scenario.ID, Place: a.place.String(), Truth: a.scenario.Cause, Alternatives: []string{}, OK: a.ok()}
	if a.err == nil {
		v := a.through.Verdict()
		line.Cause, line.Side, line.Origin, line.Confidence = v.Cause, string(v.Side), string(v.Origin), v.Confidence.String()
		line.Alternatives = append(line.Alternatives, v.Alternatives...)
		line.Through = a.through.Outcome.View(a.scenario.Side).String()
		if a.scenario.Comparable(a.place) {
			line.Direct = a.direct.View(a.scenario.Side).String()
		}
	}
	s.Encode(line) // a broken pipe shows in the exit code of whoever reads
}
