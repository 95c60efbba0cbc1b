package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
)

// result is what can be shown to people.
type result interface{ print(io.Writer) error }

// run starts everything, measures, and stops everything, whatever happens.
func run(ctx context.Context, o options) (result, error) {
	if _, err := os.Stat("/proc/self/schedstat"); err != nil {
		return nil, fmt.Errorf("processor time cannot be measured here, this needs Linux: %w", err)
	}
	jobs, err := chosen(o.works)
	if err != nil {
		return nil, err
	}
	entries, left, err := entriesFor(o.contestants, o.beside, o.transparent)
	if err != nil {
		return nil, err
	}
	// The kernel ends our children when the thread that started them ends, so it must not end before us.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dir, err := os.MkdirTemp("", "whyreset-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	crew := &crew{dir: dir}
	if slices.ContainsFunc(jobs, func(i int) bool { return works[i].idle() }) {
		crew.idle = o.idle
	}
	able := len(entries)
	for _, e := range entries {
		if why := e.cramped(crew.idle); why != "" && crew.idle > 0 {
			left = append(left, e.name+", of idle connections: "+why)
			able--
		}
	}
	if len(entries) == 0 || able == 0 && len(jobs) == 1 {
		return nil, fmt.Errorf("there is nobody to measure: %s", strings.Join(left, "; "))
	}
	defer crew.stop()
	if o.transparent {
		n, err := crew.hide(len(entries))
		if err != nil {
			return nil, err
		}
		defer n.Close()
	}
	if err := crew.assemble(ctx, entries); err != nil {
		return nil, err
	}
	if o.syscalls {
		return crew.countCalls(ctx, jobs, o)
	}
	rep, err := newReport(crew.contestants, jobs, left, o)
	if err != nil {
		return nil, err
	}
	for round := range o.rounds + 1 {
		length := o.seconds
		if round == 0 { // does not count: whoever starts cold would look slow
			if o.cold {
				continue
			}
			length = o.seconds / 5
		}
		for w, index := range jobs {
			for i := range crew.contestants {
				// Nobody is always first, or always behind the same neighbour.
				c := crew.contestants[(i+round+w)%len(crew.contestants)]
				if !c.can(index) {
					continue
				}
				s, err := crew.measure(ctx, c, index, length)
				if err != nil {
					return nil, fmt.Errorf("%s through %s: %w", works[index].name, c.name, err)
				}
				if r := rep.row(c.name, works[index].name); round > 0 {
					r.Samples = append(r.Samples, s)
				}
			}
		}
	}
	rep.conclude()
	return rep, nil
}
