package kernel

import (
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Without runs fn on a thread that has given up capabilities for good, as have the programs that fn starts from it, which
// do not get them back by being root's. Other threads keep theirs; when Without returns the thread is gone, so that what
// is done on every thread (Confine) does not meet one that cannot.
//
// What cannot be taken from the bounding set, for want of CAP_SETPCAP, a program whose file gives capabilities gets.
func Without(lack Capabilities, fn func() error) error {
	done, thread := make(chan error), 0
	go func() {
		runtime.LockOSThread()
		if thread = unix.Gettid(); thread == os.Getpid() {
			// The first thread of a process stays when its goroutine ends. Another goroutine gets another one as long as this
			// one is held.
			err := Without(lack, fn)
			thread = 0
			runtime.UnlockOSThread()
			done <- err
			return
		}
		// Never unlocked: the thread ends with the goroutine.
		if errno := giveUp(lack); errno != 0 {
			done <- errno
			return
		}
		done <- fn()
	}()
	err := <-done
	for thread != 0 && unix.Tgkill(os.Getpid(), thread, 0) == nil {
		time.Sleep(100 * time.Microsecond)
	}
	return err
}

// giveUp is for the calling thread alone.
func giveUp(lack Capabilities) Errno {
	data, errno := capget()
	if errno != 0 {
		return errno
	}
	for n := range uintptr(64) {
		if lack&(1<<n) == 0 {
			continue
		}
		_, _, errno := syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, n, 0)
		if errno != 0 && errno != unix.EPERM {
			return errno
		}
		if _, _, errno = syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_LOWER, n, 0, 0, 0); errno != 0 {
			return errno
		}
	}
	for i, word := range [...]uint32{uint32(lack), uint32(lack >> 32)} {
		data[i].Effective &^= word
		data[i].Permitted &^= word
		data[i].Inheritable &^= word
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	_, _, errno = syscall.RawSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
	return errno
}
