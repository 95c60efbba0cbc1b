package kernel

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Held are the effective and the permitted capabilities of the calling thread. All threads of a Go process have the same,
// unless somebody changed one alone.
func Held() (effective, permitted Capabilities, errno Errno) {
	data, errno := capget()
	return Capabilities(data[1].Effective)<<32 | Capabilities(data[0].Effective),
		Capabilities(data[1].Permitted)<<32 | Capabilities(data[0].Permitted), errno
}

// Confine leaves every thread of this process, and every process it starts, the capabilities of keep that are permitted
// now, and none else: effective and permitted become these, the inheritable and the ambient set empty, the bounding set
// empty where CAP_SETPCAP is there to empty it; and no program that is started can gain any (no_new_privs). There is no
// way back.
//
// ENOTSUP, with nothing changed, is the answer where cgo is linked in: the threads that C code may have made are not
// known to the Go runtime.
func Confine(keep Capabilities) Errno {
	data, errno := capget()
	if errno != 0 {
		return errno
	}
	// First what needs nothing: it tells whether all threads can be reached.
	if errno = everyThread(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); errno != 0 {
		return errno
	}
	// EINVAL on a kernel before 4.3, which has no ambient set.
	if errno = everyThread(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0); errno != 0 && errno != unix.EINVAL {
		return errno
	}
	// EINVAL behind the last capability of this kernel, EPERM without CAP_SETPCAP.
	for n := uintptr(0); errno == 0 && n < 64; n++ {
		errno = everyThread(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, n, 0)
	}
	for i, word := range [...]uint32{uint32(keep), uint32(keep >> 32)} {
		data[i].Permitted &= word
		data[i].Effective = data[i].Permitted
		data[i].Inheritable = 0
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	return everyThread(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
}

// everyThread ends the program if the answers differ from thread to thread, as that would leave one with what the others
// have given up.
func everyThread(trap, a1, a2, a3 uintptr) Errno {
	_, _, errno := syscall.AllThreadsSyscall6(trap, a1, a2, a3, 0, 0, 0)
	return errno
}

func capget() (data [2]unix.CapUserData, errno Errno) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	err := unix.Capget(&header, &data[0])
	if err != nil {
		errno = asErrno(err)
	}
	return data, errno
}

// Release is the kernel's version, as in 6.1; zeros when it cannot be read.
func Release() (major, minor int) {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return 0, 0
	}
	numbers := [2]int{}
	at := 0
	for _, c := range name.Release {
		switch {
		case c >= '0' && c <= '9':
			numbers[at] = numbers[at]*10 + int(c-'0')
		case c == '.' && at == 0:
			at = 1
		default:
			return numbers[0], numbers[1]
		}
	}
	return numbers[0], numbers[1]
}
