package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// sample is one work through one contestant, once. What does not apply is 0.
type sample struct {
	Rate    float64 `json:"rate"` // units per second
	P50     float64 `json:"p50_us"`
	P99     float64 `json:"p99_us"`
	P999    float64 `json:"p999_us"`
	CPU     float64 `json:"cpu_us"`     // of the contestant, for one unit
	Path    float64 `json:"path_us"`    // of contestant, load generator, backend and receiver of logs together, for one unit
	Machine float64 `json:"machine_us"` // of the whole machine, whoever it was, for one unit
	RSS     float64 `json:"rss_mb"`     // of the contestant, with the connections still open
	Kernel  float64 `json:"kernel_mb"`  // of the kernel, for the contestant's files; of idle connections only
}

// reading is what has been used up by now.
type reading struct{ own, path, machine time.Duration }

func (r reading) since(before reading) reading {
	return reading{r.own - before.own, r.path - before.path, r.machine - before.machine}
}

func (c *crew) measure(ctx context.Context, to contestant, index int, length time.Duration) (s sample, err error) {
	job := &works[index]
	o, used, err := c.perform(ctx, to, index, length, nothing, func() error {
		if job.idle() {
			kernel, err := kernelMemory(to.pid)
			if err != nil {
				return err
			}
			s.Kernel = float64(kernel) / 1e6
		}
		rss, err := residentMemory(to.pid)
		s.RSS = float64(rss) / 1e6
		return err
	})
	if err != nil {
		return s, err
	}
	units := float64(o.Count) / job.size
	s.CPU, s.Path, s.Machine = micro(used.own)/units, micro(used.path)/units, micro(used.machine)/units
	if !job.idle() {
		s.Rate = units / o.Elapsed.Seconds()
	}
	if job.latency {
		s.P50, s.P99, s.P999 = micro(o.P50), micro(o.P99), micro(o.P999)
	}
	return s, nil
}

func nothing() error { return nil }

// perform has a work done, and tells what came of it and what was used for it. Both first and then are called when the
// connections that stay are there: before anything is done with them, and after.
func (c *crew) perform(ctx context.Context, to contestant, index int, length time.Duration, first, then func() error) (o outcome, used reading, err error) {
	ctx, cancel := context.WithTimeout(ctx, length+4*patience)
	defer cancel()
	workers := works[index].workers
	if workers == 0 {
		workers = c.idle
	}
	load, err := c.startRole(ctx, c.clients, fmt.Sprintf("load %d %d %s %d", index, workers, to.address, length))
	if err != nil {
		return o, used, err
	}
	defer load.stop()
	if _, err := load.line(); err != nil { // that it is connected
		return o, used, err
	}
	if err := first(); err != nil {
		return o, used, err
	}
	path := append([]int{to.pid, load.pid}, c.ends...)
	before, err := settled(path)
	if err != nil {
		return o, used, err
	}
	if _, err := io.WriteString(load.in, "\n"); err != nil {
		return o, used, load.fault(err)
	}
	said, err := load.line()
	if err != nil {
		return o, used, err
	}
	after, err := settled(path)
	if err != nil {
		return o, used, err
	}
	if err := json.Unmarshal([]byte(said), &o); err != nil {
		return o, used, err
	}
	if o.Error != "" {
		return o, used, errors.New(o.Error)
	}
	return o, after.since(before), then()
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// settled reads once the first of the process groups does nothing more: what a contestant puts off, such as records not
// yet written, is part of its work.
func settled(groups []int) (last reading, err error) {
	const idle, pause, most = time.Millisecond, 30 * time.Millisecond, 60
	if last, err = read(groups); err != nil {
		return last, err
	}
	for range most {
		time.Sleep(pause)
		before := last
		if last, err = read(groups); err != nil || last.own-before.own < idle {
			break
		}
	}
	return last, err
}

// read is of the first group alone, and of all groups.
func read(groups []int) (r reading, err error) {
	each, err := cpuTimes(groups)
	if err != nil {
		return r, err
	}
	for _, t := range each {
		r.path += t
	}
	r.own = each[0]
	r.machine, err = machineTime()
	return r, err
}
