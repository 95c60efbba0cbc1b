package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// sample is one work through one contestant, once.
type sample struct {
	Rate float64 `json:"rate"`   // units per second
	P50  float64 `json:"p50_us"` // 0 for bulk, as P99
	P99  float64 `json:"p99_us"`
	CPU  float64 `json:"cpu_us"` // of the contestant, or with -sources of all, for one unit
}

func (c *crew) measure(ctx context.Context, to contestant, index int, length time.Duration) (s sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, length+3*patience)
	defer cancel()
	load, err := c.startRole(ctx, fmt.Sprintf("%d %s %d", index, to.address, length))
	if err != nil {
		return s, err
	}
	defer load.stop()
	if _, err := load.line(); err != nil { // that it is connected
		return s, err
	}
	groups := []int{to.pid}
	if c.sources { // what a packet costs the kernel is paid by whoever sends it
		groups = append(groups, load.pid, c.backend)
	}
	before, err := settled(groups...)
	if err != nil {
		return s, err
	}
	if _, err := io.WriteString(load.in, "\n"); err != nil {
		return s, load.fault(err)
	}
	said, err := load.line()
	if err != nil {
		return s, err
	}
	after, err := settled(groups...)
	if err != nil {
		return s, err
	}
	var o outcome
	if err := json.Unmarshal([]byte(said), &o); err != nil {
		return s, err
	}
	if o.Error != "" {
		return s, errors.New(o.Error)
	}
	units := float64(o.Count) / works[index].size
	s = sample{Rate: units / o.Elapsed.Seconds(), CPU: micro(after-before) / units}
	if works[index].latency {
		s.P50, s.P99 = micro(o.P50), micro(o.P99)
	}
	return s, nil
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// settled is the processor time of process groups once they do nothing more: what a contestant puts off, such as
// records not yet written, is part of its work.
func settled(groups ...int) (time.Duration, error) {
	const idle, pause, most = time.Millisecond, 30 * time.Millisecond, 60
	last, err := cpuTimes(groups)
	for range most {
		time.Sleep(pause)
		before := last
		if last, err = cpuTimes(groups); err != nil || last-before < idle {
			break
		}
	}
	return last, err
}

func cpuTimes(groups []int) (total time.Duration, err error) {
	for _, group := range groups {
		t, err := cpuTime(group)
		if err != nil {
			return 0, err
		}
		total += t
	}
	return total, nil
}

// cpuTime is how long the threads of a process group have run, to the nanosecond: /proc/PID/stat has ticks of 10 ms
// only. The time of threads that have ended is lost; relays start theirs once.
func cpuTime(group int) (total time.Duration, err error) {
	processes, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, file := range processes {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// The name, in brackets, may hold anything; state, parent and group follow.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) < 3 || fields[2] != strconv.Itoa(group) {
			continue
		}
		threads, err := filepath.Glob(filepath.Join(filepath.Dir(file), "task/*/schedstat"))
		if err != nil {
			return 0, err
		}
		for _, thread := range threads {
			text, err := os.ReadFile(thread)
			if err != nil {
				continue
			}
			ran, _, _ := strings.Cut(string(text), " ")
			ns, err := strconv.ParseInt(ran, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", thread, err)
			}
			total += time.Duration(ns)
		}
	}
	if total == 0 {
		return 0, fmt.Errorf("process group %d has no processor time: it has ended, or the kernel has no schedstat", group)
	}
	return total, nil
}
