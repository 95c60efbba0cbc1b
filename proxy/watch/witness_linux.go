package watch

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// OpenWitness listens to the kernel by raw tracepoints or, where those cannot be had, by tracefs. An error is an
// [Unwatched].
func OpenWitness() (*Witness, error) {
	w, noPrograms := witnessBy("raw tracepoints", func() (source, error) { return openPrograms() })
	if noPrograms == nil {
		return w, nil
	}
	w, noTracefs := witnessBy("tracefs", func() (source, error) { return openTracefs() })
	if noTracefs == nil {
		return w, nil
	}
	return nil, &Unwatched{Why: why(noPrograms), Err: errors.Join(noPrograms, noTracefs)}
}

func witnessBy(way string, open func() (source, error)) (*Witness, error) {
	own, err := networkNamespace()
	if err != nil {
		return nil, fmt.Errorf("own network namespace: %w", err)
	}
	zero, err := monotonicZero()
	if err != nil {
		return nil, err
	}
	s, err := open()
	if err != nil {
		return nil, err
	}
	return newWitness(way, own, zero, s), nil
}

// Why the kernel cannot be heard, as the coverage has it.
const (
	notRoot         = "not root"
	inUserNamespace = "in a user namespace"
	notCapable      = "no CAP_BPF and CAP_PERFMON"
	noBTF           = "no BTF"
	notSupported    = "not supported by this kernel"
)

// why is the reason in few words, told by what came of the better way.
func why(err error) string {
	refused := errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
	switch {
	case refused && os.Geteuid() != 0:
		return notRoot
	case refused && inner():
		return inUserNamespace
	case refused:
		return notCapable
	case errors.Is(err, errNoBTF):
		return noBTF
	}
	return notSupported
}

// inner says whether this process is in a user namespace other than the machine's own, whose root may not trace the kernel.
func inner() bool {
	const initial = 0xEFFFFFFD // PROC_USER_INIT_INO, include/linux/proc_ns.h
	at, err := os.Readlink("/proc/self/ns/user")
	return err == nil && at != fmt.Sprintf("user:[%d]", uint32(initial))
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
