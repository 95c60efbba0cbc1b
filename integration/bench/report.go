package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report is what was measured and where.
type report struct {
	Kernel   string            `json:"kernel"`
	CPUs     int               `json:"cpus"`
	Load     string            `json:"load"` // what waited to run before we began: averages over 1, 5 and 15 minutes
	Seconds  float64           `json:"seconds"`
	Rounds   int               `json:"rounds"`
	Versions map[string]string `json:"versions"`
	Rows     []*row            `json:"rows"`

	reference string // whom the others are compared with
}

// row is one work through one contestant: medians of its samples. The ratios are those to the reference, each the
// median of the rounds' own ratios, so that what slows a whole round down slows both.
type row struct {
	Work       string `json:"work"`
	Unit       string `json:"unit"`
	Contestant string `json:"contestant"`
	sample
	RateRatio float64  `json:"rate_ratio"`
	CPURatio  float64  `json:"cpu_ratio"`
	Samples   []sample `json:"samples"`
	latency   bool
}

func newReport(contestants []contestant, each time.Duration, rounds int) (*report, error) {
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return nil, err
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return nil, err
	}
	rep := &report{
		Kernel: strings.TrimSpace(string(kernel)), CPUs: runtime.NumCPU(), Load: strings.Join(strings.Fields(string(load))[:3], " "),
		Seconds: each.Seconds(), Rounds: rounds, Versions: map[string]string{"Go": runtime.Version()},
	}
	rep.reference = contestants[0].name
	for _, c := range contestants {
		rep.Versions[c.name] = c.version
	}
	for _, w := range works {
		if w.sources && rep.reference == reference {
			continue
		}
		for _, c := range contestants {
			rep.Rows = append(rep.Rows, &row{Work: w.name, Unit: w.unit, Contestant: c.name, latency: w.latency})
		}
	}
	return rep, nil
}

func (rep *report) row(contestant, work string) *row {
	return rep.Rows[slices.IndexFunc(rep.Rows, func(r *row) bool { return r.Contestant == contestant && r.Work == work })]
}

// conclude fills in the medians.
func (rep *report) conclude() {
	rate := func(s sample) float64 { return s.Rate }
	cpu := func(s sample) float64 { return s.CPU }
	for _, r := range rep.Rows {
		r.sample = sample{
			Rate: median(r.Samples, rate), CPU: median(r.Samples, cpu),
			P50: median(r.Samples, func(s sample) float64 { return s.P50 }),
			P99: median(r.Samples, func(s sample) float64 { return s.P99 }),
		}
		base := rep.row(rep.reference, r.Work).Samples
		r.RateRatio, r.CPURatio = ratio(r.Samples, base, rate), ratio(r.Samples, base, cpu)
	}
}

func median[T any](all []T, of func(T) float64) float64 {
	sorted := make([]float64, len(all))
	for i, one := range all {
		sorted[i] = of(one)
	}
	slices.Sort(sorted)
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func ratio(all, base []sample, of func(sample) float64) float64 {
	each := make([]float64, len(all))
	for i := range all {
		each[i] = of(all[i]) / of(base[i])
	}
	return median(each, func(f float64) float64 { return f })
}

func (rep *report) print(w io.Writer) error {
	versions := []string{}
	for name, version := range rep.Versions {
		versions = append(versions, name+" "+strings.TrimPrefix(cmp.Or(version, "?"), "go"))
	}
	slices.Sort(versions)
	fmt.Fprintf(w, "Linux %s, %d CPUs, load before %s, %d rounds of %g s; %s\n\n",
		rep.Kernel, rep.CPUs, rep.Load, rep.Rounds, rep.Seconds, strings.Join(versions, ", "))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "work\tthrough\tper second\tto %s\tp50\tp99\tCPU for one\tto %[1]s\t\n", rep.reference)
	for _, r := range rep.Rows {
		rate, cpu, p50, p99 := fmt.Sprintf("%.0f", r.Rate), fmt.Sprintf("%.1f us", r.CPU), "", ""
		if r.latency {
			p50, p99 = fmt.Sprintf("%.0f us", r.P50), fmt.Sprintf("%.0f us", r.P99)
		} else {
			rate, cpu = fmt.Sprintf("%.2f GB", r.Rate), fmt.Sprintf("%.3f s", r.CPU/1e6)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%.2f\t%s\t%s\t%s\t%.2f\t\n", r.Work, r.Contestant, rate, r.RateRatio, p50, p99, cpu, r.CPURatio)
	}
	return t.Flush()
}
