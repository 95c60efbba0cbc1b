package main

import (
	"os"
	"runtime"
	"slices"
	"strings"
)

// report is what was measured and where.
type report struct {
	Place    string            `json:"place"` // loopback, or transparent: across network namespaces
	Kernel   string            `json:"kernel"`
	CPUs     int               `json:"cpus"`
	Load     string            `json:"load"` // what waited to run before we began: averages over 1, 5 and 15 minutes
	Seconds  float64           `json:"seconds"`
	Rounds   int               `json:"rounds"`
	Idle     int               `json:"idle"` // connections of the work of that name
	Versions map[string]string `json:"versions"`
	Left     []string          `json:"left_out"` // who could not be measured, and why
	Base     string            `json:"reference"`
	Rows     []*row            `json:"rows"`
	Targets  []reached         `json:"targets"`
}

// row is one work through one contestant: medians of its samples, and ratios to the reference.
type row struct {
	Work       string `json:"work"`
	Unit       string `json:"unit"`
	Contestant string `json:"contestant"`
	sample
	RateRatio *ratio   `json:"rate_ratio,omitempty"`
	P99Ratio  *ratio   `json:"p99_ratio,omitempty"`
	CPURatio  *ratio   `json:"cpu_ratio,omitempty"`
	PathRatio *ratio   `json:"path_ratio,omitempty"`
	Memory    *ratio   `json:"memory_ratio,omitempty"`
	Samples   []sample `json:"samples"`

	job *work
}

// ratio is the median of the rounds' own ratios, so that what slows a whole round down slows both, with the least and
// the greatest of them.
type ratio struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func newReport(contestants []contestant, jobs []int, left []string, o options) (*report, error) {
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return nil, err
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return nil, err
	}
	rep := &report{
		Place:  "loopback",
		Kernel: strings.TrimSpace(string(kernel)), CPUs: runtime.NumCPU(), Load: strings.Join(strings.Fields(string(load))[:3], " "),
		Seconds: o.seconds.Seconds(), Rounds: o.rounds, Idle: o.idle, Versions: map[string]string{},
		Left: left, Base: contestants[0].name,
	}
	if o.transparent {
		rep.Place = "transparent"
	}
	for _, c := range contestants {
		rep.Versions[c.name] = c.version
	}
	for _, i := range jobs {
		for _, c := range contestants {
			if !c.can(i) {
				continue
			}
			rep.Rows = append(rep.Rows, &row{Work: works[i].name, Unit: works[i].unit, Contestant: c.name, job: &works[i]})
		}
	}
	return rep, nil
}

// row is nil where that was not measured.
func (rep *report) row(contestant, work string) *row {
	i := slices.IndexFunc(rep.Rows, func(r *row) bool { return r.Contestant == contestant && r.Work == work })
	if i < 0 {
		return nil
	}
	return rep.Rows[i]
}

// A figure is one of those of a sample.
type figure func(sample) float64

func rate(s sample) float64    { return s.Rate }
func p99(s sample) float64     { return s.P99 }
func cpu(s sample) float64     { return s.CPU }
func path(s sample) float64    { return s.Path }
func machine(s sample) float64 { return s.Machine }
func memory(s sample) float64  { return s.RSS + s.Kernel }

// conclude fills in the medians.
func (rep *report) conclude() {
	for _, r := range rep.Rows {
		of := func(f figure) float64 { return median(each(r.Samples, f)) }
		r.sample = sample{
			Rate: of(rate), CPU: of(cpu), Path: of(path), Machine: of(machine),
			P50: of(func(s sample) float64 { return s.P50 }), P99: of(p99), P999: of(func(s sample) float64 { return s.P999 }),
			RSS: of(func(s sample) float64 { return s.RSS }), Kernel: of(func(s sample) float64 { return s.Kernel }),
		}
		base := rep.row(rep.Base, r.Work)
		if r.job.idle() { // of processor time nearly nothing, for all
			r.Memory = ratioOf(r, base, memory)
			continue
		}
		r.RateRatio, r.P99Ratio = ratioOf(r, base, rate), ratioOf(r, base, p99)
		r.CPURatio, r.PathRatio = ratioOf(r, base, cpu), ratioOf(r, base, path)
	}
	rep.Targets = rep.reach()
}

// ratioOf is nil where the figure does not apply.
func ratioOf(r, base *row, f figure) *ratio {
	if base == nil {
		return nil
	}
	var all []float64
	for i := range r.Samples {
		if b := f(base.Samples[i]); b > 0 {
			all = append(all, f(r.Samples[i])/b)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return &ratio{Median: median(all), Min: slices.Min(all), Max: slices.Max(all)}
}

func each(samples []sample, f figure) (values []float64) {
	for _, s := range samples {
		values = append(values, f(s))
	}
	return values
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
