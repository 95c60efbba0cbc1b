package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cpuTimes is how long the threads of each process group have run, to the nanosecond: /proc/PID/stat has ticks of 10 ms
// only. The time of threads that have ended is lost; relays start theirs once.
func cpuTimes(groups []int) ([]time.Duration, error) {
	total := make([]time.Duration, len(groups))
	err := eachProcess(groups, func(i int, dir string) error {
		threads, err := filepath.Glob(filepath.Join(dir, "task/*/schedstat"))
		if err != nil {
			return err
		}
		for _, thread := range threads {
			text, err := os.ReadFile(thread)
			if err != nil {
				continue // it has ended
			}
			ran, _, _ := strings.Cut(string(text), " ")
			ns, err := strconv.ParseInt(ran, 10, 64)
			if err != nil {
				return fmt.Errorf("%s: %w", thread, err)
			}
			total[i] += time.Duration(ns)
		}
		return nil
	})
	for i, t := range total {
		if t == 0 && err == nil {
			err = fmt.Errorf("process group %d has no processor time: it has ended, or the kernel has no schedstat", groups[i])
		}
	}
	return total, err
}

// eachProcess calls do with the /proc folder of each process of the groups, and which group it is of.
func eachProcess(groups []int, do func(i int, dir string) error) error {
	processes, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return err
	}
	for _, file := range processes {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// The name, in brackets, may hold anything; state, parent and group follow.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) < 3 {
			continue
		}
		group, err := strconv.Atoi(fields[2])
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if i := slices.Index(groups, group); i >= 0 {
			if err := do(i, filepath.Dir(file)); err != nil {
				return err
			}
		}
	}
	return nil
}

// machineTime is how long all processors together have done anything, interrupts included, in ticks of 10 ms.
func machineTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 8 {
		return 0, fmt.Errorf("/proc/stat begins with %q, want the times of all processors", line)
	}
	ticks := int64(0)
	for i, field := range fields[1:8] { // user nice system idle iowait irq softirq
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		if i != 3 && i != 4 {
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// residentMemory is that of a process group, in bytes. What its processes share counts for each.
func residentMemory(group int) (total int64, err error) {
	err = eachProcess([]int{group}, func(_ int, dir string) error {
		text, err := os.ReadFile(filepath.Join(dir, "statm"))
		if err != nil {
			return nil // it has ended
		}
		fields := strings.Fields(string(text))
		if len(fields) < 2 {
			return fmt.Errorf("%s/statm is %q, want sizes in pages", dir, text)
		}
		pages, err := strconv.ParseInt(fields[1], 10, 64)
		total += pages * int64(os.Getpagesize())
		return err
	})
	return total, err
}

// kernelMemory is what the whole kernel holds that it cannot give back, in bytes: objects such as sockets and open
// files, and what waits in sockets' queues.
func kernelMemory() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	objects, err := number(string(text), "SUnreclaim:", "SUnreclaim:")
	if err != nil {
		return 0, fmt.Errorf("/proc/meminfo: %w", err)
	}
	if text, err = os.ReadFile("/proc/net/sockstat"); err != nil {
		return 0, err
	}
	queues, err := number(string(text), "TCP:", "mem")
	if err != nil {
		return 0, fmt.Errorf("/proc/net/sockstat: %w", err)
	}
	return objects<<10 + queues*int64(os.Getpagesize()), nil
}

// number is the one that follows a word in the line that begins with line, which may be that word.
func number(text, line, word string) (int64, error) {
	for l := range strings.Lines(text) {
		fields := strings.Fields(l)
		if i := slices.Index(fields, word); i >= 0 && i+1 < len(fields) && fields[0] == line {
			return strconv.ParseInt(fields[i+1], 10, 64)
		}
	}
	return 0, fmt.Errorf("no line %s has a number behind %s", line, word)
}
