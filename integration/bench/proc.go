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

// What the kernel keeps for each file, in bytes, by the sizes of its objects (slabinfo, Linux 6.18): struct file, dentry and
// epoll's entry for each, and for a socket tcp_sock and its inode; for a pipe, one of whose two ends this is, half of its inode
// and buffers without pages. Idle sockets and pipes have nothing in their queues.
const (
	fileBytes   = 192 + 192 + 128
	socketBytes = 2368 + 832
	pipeBytes   = (650 + 192 + 1024) / 2
)

// kernelMemory is what the kernel keeps for the files of a process group, in bytes. It is counted and not read from the
// kernel's own account, which is of the whole machine and gives objects back when it finds the time.
func kernelMemory(group int) (total int64, err error) {
	err = eachProcess([]int{group}, func(_ int, dir string) error {
		files, err := os.ReadDir(filepath.Join(dir, "fd"))
		if err != nil {
			return err
		}
		for _, file := range files {
			kind, err := os.Readlink(filepath.Join(dir, "fd", file.Name()))
			if err != nil {
				continue // it has been closed
			}
			total += fileBytes
			switch {
			case strings.HasPrefix(kind, "socket:"):
				total += socketBytes
			case strings.HasPrefix(kind, "pipe:"):
				total += pipeBytes
			}
		}
		return nil
	})
	return total, err
}
