package kernel

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Listen opens a non-blocking TCP listener. A taken port is found although every loop shares it with
// SO_REUSEPORT: pass shared=false once first, and close that socket before the shared ones are made.
func Listen(at netip.AddrPort, shared bool, opt Options) (int, error) {
	fd, err := unix.Socket(family(at.Addr()), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, err
	}
	set := func(level, name, value int) {
		if err == nil {
			err = unix.SetsockoptInt(fd, level, name, value)
		}
	}
	set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if shared {
		set(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if at.Addr().Is6() {
		dualStack := 0
		if !at.Addr().IsUnspecified() {
			dualStack = 1
		}
		set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, dualStack)
	}
	// All of these are inherited by accepted sockets, which saves a call for each connection.
	set(unix.SOL_SOCKET, unix.SO_OOBINLINE, 1)
	set(unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err == nil {
		err = Configure(fd, opt)
	}
	if err == nil {
		err = unix.Bind(fd, sockaddr(at))
	}
	if err == nil && shared {
		err = unix.Listen(fd, Backlog)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// Configure sets what opt asks for on one socket.
func Configure(fd int, opt Options) error {
	if opt.KeepAlive > 0 {
		for _, o := range [][3]int{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, opt.KeepAlive},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, opt.KeepAlive},
			{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
		} {
			if err := unix.SetsockoptInt(fd, o[0], o[1], o[2]); err != nil {
				return err
			}
		}
	}
	if opt.UserTimeout > 0 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, opt.UserTimeout)
	}
	return nil
}

// Accept takes one connection; EAGAIN when none waits.
func Accept(listener int) (fd int, peer netip.AddrPort, errno Errno) {
	var rsa unix.RawSockaddrAny
	size := uint32(unsafe.Sizeof(rsa))
	r, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), uintptr(unsafe.Pointer(&rsa)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, netip.AddrPort{}, errno
	}
	return int(r), addrPort(&rsa), 0
}

// Dial opens a socket and starts to connect. EINPROGRESS is success not yet known. fd is -1 when
// there is no socket to close.
//
// IP_RECVERR is left off: on an established connection it turns a passing ICMP error into a failed
// read. IPv4 queues the error of the connect phase without it; IPv6 needs it, see EndConnectPhase.
func Dial(to netip.AddrPort, opt Options) (fd int, errno Errno) {
	fd, errno = dialling(to)
	if errno != 0 {
		return fd, errno
	}
	if opt != (Options{}) {
		if err := Configure(fd, opt); err != nil {
			return fd, asErrno(err)
		}
	}
	return fd, connect(fd, to)
}

// dialling opens a socket for a connection to that address; fd is -1 when there is none.
func dialling(to netip.AddrPort) (fd int, errno Errno) {
	r, _, errno := unix.RawSyscall(unix.SYS_SOCKET, uintptr(family(to.Addr())),
		unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if errno != 0 {
		return -1, errno
	}
	fd = int(r)
	setInt(fd, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1)
	if family(to.Addr()) == unix.AF_INET6 {
		setInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
	}
	return fd, 0
}

func connect(fd int, to netip.AddrPort) Errno {
	var rsa unix.RawSockaddrAny
	size := fill(&rsa, to)
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&rsa)), size)
	return errno
}

// EndConnectPhase takes back what Dial set for the connect phase only.
func EndConnectPhase(fd int, to netip.Addr) {
	if to.Is6() {
		setInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 0)
	}
}

// NoDelay sets TCP_NODELAY.
func NoDelay(fd int) { setInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }

// LocalAddr is getsockname(2).
func LocalAddr(fd int) netip.AddrPort {
	var rsa unix.RawSockaddrAny
	size := uint32(unsafe.Sizeof(rsa))
	_, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&rsa)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return netip.AddrPort{}
	}
	return addrPort(&rsa)
}

// ShutdownWrite sends our FIN.
func ShutdownWrite(fd int) Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
	return errno
}

// Close closes in order: our FIN goes out behind what is queued.
func Close(fd int) { unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// Abort closes with a RST (SO_LINGER 0). What is still queued is thrown away.
func Abort(fd int) {
	linger := unix.Linger{Onoff: 1}
	unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER,
		uintptr(unsafe.Pointer(&linger)), unsafe.Sizeof(linger), 0)
	Close(fd)
}

func setInt(fd, level, name int, value int32) {
	unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(&value)), 4, 0)
}

func family(a netip.Addr) int {
	if a.Is4() || a.Is4In6() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
