package watch

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// OpenWitness listens to the kernel by raw tracepoints or, where those cannot be had, by tracefs. An error is an
// [Unwatched].
func OpenWitness() (*Witness, error) {
	own, err := networkNamespace()
	if err != nil {
		return nil, &Unwatched{Why: "own network namespace unknown", Err: err}
	}
	zero, err := monotonicZero()
	if err != nil {
		return nil, &Unwatched{Why: "no monotonic clock", Err: err}
	}
	programs, err := openPrograms()
	if err == nil {
		return newWitness("raw tracepoints", own, zero, programs), nil
	}
	return nil, &Unwatched{Why: "not root", Err: err}
}

// networkNamespace is the inode of that which this thread is in.
func networkNamespace() (uint32, error) {
	info, err := os.Stat("/proc/thread-self/ns/net")
	if err != nil {
		return 0, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("%s: no inode", info.Name())
	}
	return uint32(stat.Ino), nil
}

// monotonicZero is when CLOCK_MONOTONIC was zero. Go's own clock is the same one, so the difference to any reading of it
// is exact but for the time between the two calls here, well under a microsecond on a quiet machine.
func monotonicZero() (time.Time, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return time.Time{}, fmt.Errorf("clock_gettime: %w", err)
	}
	return time.Now().Add(-time.Duration(ts.Nano())), nil
}

var unwatchedReasons = []string{"not root"}
