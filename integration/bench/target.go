package main

import "strings"

// A target is what a figure of whyreset's must not exceed, or must reach, as a ratio to another's.
type target struct {
	works     string // comma-separated; it holds for each
	what      string
	figure    figure
	who, than string  // contestants
	thanWork  string  // if empty the same
	want      float64 // at most; if atLeast, at least
	atLeast   bool
}

var targets = []target{
	{works: "connections", what: "CPU", figure: cpu, who: explaining, than: "haproxy", want: 0.95},
	{works: "connections", what: "CPU", figure: cpu, who: explaining, than: "haproxy-log", want: 0.80},
	{works: "connections", what: "rate", figure: rate, who: explaining, than: "haproxy", want: 1, atLeast: true},
	{works: "requests-1", what: "CPU", figure: cpu, who: explaining, than: "haproxy", want: 0.70},
	{works: "requests-64,requests-512", what: "CPU", figure: cpu, who: explaining, than: "haproxy", want: 0.90},
	{works: "requests-1,requests-64,requests-512", what: "rate", figure: rate, who: explaining, than: "haproxy", want: 1, atLeast: true},
	{works: "requests-1,requests-64,requests-512", what: "p99", figure: p99, who: explaining, than: "haproxy", want: 1.05},
	{works: bulk, what: "CPU", figure: cpu, who: explaining, than: "haproxy", want: 0.50},
	{works: bulk, what: "rate", figure: rate, who: explaining, than: "haproxy", want: 0.97, atLeast: true},
	{works: "idle", what: "memory", figure: memory, who: explaining, than: "haproxy", want: 1},
	{works: "resets", what: "CPU", figure: cpu, who: explaining, than: explaining, thanWork: "connections", want: 1.3},
	// What a packet costs the kernel is paid by whoever sends it.
	{works: bulk, what: "path CPU", figure: path, who: explaining, than: "whyreset-sockets", want: 1.05},
	{works: "connections", what: "path CPU", figure: path, who: explaining, than: "whyreset-sockets", want: 1.15},
}

const (
	explaining = "whyreset-packets"
	bulk       = "down-1,down-4,down-64,up-1,up-4,up-64"
)

// reached is how a target was met in one work.
type reached struct {
	Work    string  `json:"work"`
	What    string  `json:"what"`
	Who     string  `json:"who"`
	Than    string  `json:"than"`
	Got     ratio   `json:"got"`
	Want    float64 `json:"want"`
	AtLeast bool    `json:"at_least"`
	Met     bool    `json:"met"`
}

// reach judges the targets of whom and what was measured.
func (rep *report) reach() (all []reached) {
	for _, t := range targets {
		for work := range strings.SplitSeq(t.works, ",") {
			thanWork, than := work, t.than
			if t.thanWork != "" {
				thanWork, than = t.thanWork, t.than+" in "+t.thanWork
			}
			one, other := rep.row(t.who, work), rep.row(t.than, thanWork)
			if one == nil || other == nil {
				continue
			}
			got := ratioOf(one, other, t.figure)
			if got == nil {
				continue
			}
			met := got.Median <= t.want
			if t.atLeast {
				met = got.Median >= t.want
			}
			all = append(all, reached{Work: work, What: t.what, Who: t.who, Than: than, Got: *got, Want: t.want, AtLeast: t.atLeast, Met: met})
		}
	}
	return all
}
