package kernel

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TryTransparent says whether a socket may listen and dial with addresses that are not its host's: EPERM without
// CAP_NET_RAW or CAP_NET_ADMIN.
func TryTransparent() Errno {
	return tryOn(unix.AF_INET, unix.SOCK_STREAM, func(fd int) Errno { return tryInt(fd, unix.IPPROTO_IP, unix.IP_TRANSPARENT, 1) })
}

// TryOriginalDst says whether connections are tracked in this network namespace's kernel: ENOENT where they are (this
// socket has none), ENOPROTOOPT where nothing has loaded connection tracking yet.
func TryOriginalDst() Errno {
	return tryOn(unix.AF_INET, unix.SOCK_STREAM, func(fd int) Errno {
		_, errno := OriginalDst(fd, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
		return errno
	})
}

// TryPackets says whether packets can be watched with a filter in the kernel: EPERM without CAP_NET_RAW. The socket has
// protocol 0 and gets no packet.
func TryPackets() Errno {
	return tryOn(unix.AF_PACKET, unix.SOCK_DGRAM, func(fd int) Errno {
		nothing := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
		filter := unix.SockFprog{Len: 1, Filter: &nothing}
		_, _, errno := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			uintptr(unsafe.Pointer(&filter)), unsafe.Sizeof(filter), 0)
		return errno
	})
}

// TrySplice says whether bytes can be moved through a pipe without copying: a sandbox may not have it.
func TrySplice() Errno {
	pipe, err := NewPipe(smallestPipe)
	if err != nil {
		return asErrno(err)
	}
	defer pipe.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return asErrno(err)
	}
	defer Close(pair[0])
	defer Close(pair[1])
	if _, errno := Send(pair[0], []byte{0}); errno != 0 {
		return errno
	}
	_, errno := pipe.Fill(pair[1], 1)
	return errno
}

// smallestPipe is a page, which the kernel makes of anything less.
const smallestPipe = 4096

// MayWrite says whether this process may put files into a folder.
func MayWrite(dir string) Errno {
	if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return asErrno(err)
	}
	return 0
}

func tryOn(family, kind int, try func(fd int) Errno) Errno {
	r, _, errno := unix.RawSyscall(unix.SYS_SOCKET, uintptr(family), uintptr(kind|unix.SOCK_CLOEXEC), 0)
	if errno != 0 {
		return errno
	}
	defer Close(int(r))
	return try(int(r))
}
