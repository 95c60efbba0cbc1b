package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// calls are the system calls that contestants make for one unit of a work.
type calls struct {
	Rows []callRow `json:"rows"`
}

type callRow struct {
	Work       string             `json:"work"`
	Unit       string             `json:"unit"`
	Contestant string             `json:"contestant"`
	Total      float64            `json:"total"`
	Each       map[string]float64 `json:"each"` // by the call's name
}

// countCalls does each work once through each contestant while strace counts. That slows a contestant down several
// times, so that it finds more to do whenever it looks: waits are fewer than without.
func (c *crew) countCalls(ctx context.Context, jobs []int, o options) (*calls, error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return nil, fmt.Errorf("system calls are counted with strace: %w", err)
	}
	all := &calls{}
	for _, index := range jobs {
		for _, to := range c.contestants {
			if !to.can(index) {
				continue
			}
			row, err := c.trace(ctx, strace, to, index, o.seconds)
			if err != nil {
				return nil, fmt.Errorf("%s through %s: %w", works[index].name, to.name, err)
			}
			all.Rows = append(all.Rows, row)
		}
	}
	return all, nil
}

func (c *crew) trace(ctx context.Context, strace string, to contestant, index int, length time.Duration) (row callRow, err error) {
	table, processes := filepath.Join(c.dir, "calls"), 0
	arguments := []string{"-f", "-c", "-U", "calls,name", "-o", table}
	err = eachProcess([]int{to.pid}, func(_ int, dir string) error {
		arguments = append(arguments, "-p", filepath.Base(dir))
		processes++
		return nil
	})
	if err != nil {
		return row, err
	}
	var tracer *member
	o, _, err := c.perform(ctx, to, index, length, func() (err error) {
		tracer, err = c.start(ctx, nil, "strace", nil, strace, arguments...)
		// What it says first, on stderr, is to whom it is attached.
		for end := time.Now().Add(patience); err == nil; time.Sleep(10 * time.Millisecond) {
			said, _ := os.ReadFile(tracer.said)
			if strings.Count(string(said), "attached") >= processes {
				break
			}
			if time.Now().After(end) {
				err = tracer.fault(errors.New("strace does not begin"))
			}
		}
		return err
	}, func() error {
		tracer.stop() // before the connections end
		return nil
	})
	if err != nil {
		return row, err
	}
	text, err := os.ReadFile(table)
	if err != nil {
		return row, tracer.fault(err)
	}
	job := &works[index]
	row = callRow{Work: job.name, Unit: job.unit, Contestant: to.name, Each: map[string]float64{}}
	for _, m := range tableLine.FindAllStringSubmatch(string(text), -1) {
		if m[2] == "total" {
			continue
		}
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return row, err
		}
		n /= float64(o.Count) / job.size
		row.Each[m[2]] = n
		row.Total += n
	}
	return row, nil
}

// tableLine is a number of calls and their name; the last line sums up.
var tableLine = regexp.MustCompile(`(?m)^ *(\d+) +([a-z_0-9]+)$`)

func (all *calls) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "work\tthrough\tcalls for one\tof these")
	for _, r := range all.Rows {
		names := []string{}
		for name, n := range r.Each {
			if n >= 0.05 {
				names = append(names, name)
			}
		}
		slices.SortFunc(names, func(a, b string) int {
			if r.Each[a] != r.Each[b] {
				return int(1e6 * (r.Each[b] - r.Each[a]))
			}
			return strings.Compare(a, b)
		})
		for i, name := range names {
			names[i] = fmt.Sprintf("%s %.2f", name, r.Each[name])
		}
		fmt.Fprintf(t, "%s\t%s\t%.1f a %s\t%s\n", r.Work, r.Contestant, r.Total, r.Unit, strings.Join(names, ", "))
	}
	return t.Flush()
}
