package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

func (rep *report) print(w io.Writer) error {
	fmt.Fprintf(w, "%s; Linux %s, %d CPUs, load before %s, %d rounds of %g s; %s\n",
		rep.Place, rep.Kernel, rep.CPUs, rep.Load, rep.Rounds, rep.Seconds, versions(rep.Versions))
	for _, left := range rep.Left {
		fmt.Fprintf(w, "left out: %s\n", left)
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "work\tthrough\tper second\tto %s\tp50\tp99\tp99.9\tCPU for one\tto %[1]s\tpath\tmachine\tRSS\tkernel\tto %[1]s\t\n", rep.Base)
	for _, r := range rep.Rows {
		time := func(us float64) string { return fmt.Sprintf("%.1f us", us) }
		if r.Unit == "GB" {
			time = func(us float64) string { return fmt.Sprintf("%.3f s", us/1e6) }
		}
		perSecond, wait, kernel := fmt.Sprintf("%.0f", r.Rate), "\t\t", ""
		switch {
		case r.job.idle():
			perSecond, kernel = "", fmt.Sprintf("%.1f MB", r.Kernel)
		case r.job.latency:
			wait = fmt.Sprintf("%.0f us\t%.0f us\t%.0f us", r.P50, r.P99, r.P999)
		default:
			perSecond = fmt.Sprintf("%.2f GB", r.Rate)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.1f MB\t%s\t%s\t\n", r.Work, r.Contestant, perSecond, r.RateRatio,
			wait, time(r.CPU), r.CPURatio, time(r.Path), time(r.Machine), r.RSS, kernel, r.Memory)
	}
	if err := t.Flush(); err != nil || len(rep.Targets) == 0 {
		return err
	}
	fmt.Fprintln(w)
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "work\twhat\tof\tto\tis\twanted\t\t\n")
	for _, r := range rep.Targets {
		sign, met := "<=", "reached"
		if r.AtLeast {
			sign = ">="
		}
		if !r.Met {
			met = "missed"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s %.2f\t%s\t\n", r.Work, r.What, r.Who, r.Than, &r.Got, sign, r.Want, met)
	}
	return t.Flush()
}

// String is the median, with the spread where there is one; empty for nil.
func (r *ratio) String() string {
	switch {
	case r == nil:
		return ""
	case r.Min == r.Max:
		return fmt.Sprintf("%.2f", r.Median)
	}
	return fmt.Sprintf("%.2f (%.2f-%.2f)", r.Median, r.Min, r.Max)
}

func versions(of map[string]string) string {
	var all []string
	for name, version := range of {
		all = append(all, name+" "+cmp.Or(version, "?"))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
