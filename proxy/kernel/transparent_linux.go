package kernel

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// soOriginalDst is SO_ORIGINAL_DST of linux/netfilter_ipv4.h and IP6T_SO_ORIGINAL_DST of ip6_tables.h alike.
const soOriginalDst = 80

// SetTransparent lets a listener accept connections to addresses that are not its host's. It holds for both families of a
// dual-stack socket, for it is one bit (inet_sk(sk)->transparent), and accepted sockets inherit it. EPERM without
// CAP_NET_RAW or CAP_NET_ADMIN.
func SetTransparent(fd int, at netip.Addr) error {
	if family(at) == unix.AF_INET6 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TRANSPARENT, 1)
}

// DialAs is Dial as somebody else. A socket that has from and to already shows as EADDRINUSE from bind(2), or as
// EADDRNOTAVAIL from connect(2); a port below 1024 without CAP_NET_BIND_SERVICE as EACCES; EPERM is a missing right to
// the mark, or to a From that is not an address of this host. Where it fails before connect(2) there is no socket to close.
func DialAs(to netip.AddrPort, as Origin, opt Options) (fd int, errno Errno) {
	if as == (Origin{}) {
		return Dial(to, opt)
	}
	fd, errno = dialling(to)
	if errno != 0 {
		return fd, errno
	}
	if as.Mark != 0 {
		errno = tryInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int32(as.Mark))
	}
	var opaque Errno
	if as.Transparent {
		if family(to.Addr()) == unix.AF_INET6 {
			opaque = tryInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT, 1)
		} else {
			opaque = tryInt(fd, unix.IPPROTO_IP, unix.IP_TRANSPARENT, 1)
		}
	}
	if errno == 0 && opt != (Options{}) {
		if err := Configure(fd, opt); err != nil {
			errno = asErrno(err)
		}
	}
	if errno == 0 && as.From.IsValid() {
		errno = bindFrom(fd, as.From)
		if errno == unix.EADDRNOTAVAIL && opaque != 0 {
			errno = opaque // not being allowed to is the reason, now that From has proved not to be this host's
		}
	}
	if errno != 0 {
		Close(fd)
		return -1, errno
	}
	return fd, connect(fd, to)
}

// MayMark says whether sockets may be marked: EPERM without CAP_NET_ADMIN, or CAP_NET_RAW since kernel 5.17.
func MayMark(mark uint32) Errno {
	r, _, errno := unix.RawSyscall(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if errno != 0 {
		return errno
	}
	defer Close(int(r))
	return tryInt(int(r), unix.SOL_SOCKET, unix.SO_MARK, int32(mark))
}

// bindFrom binds so that one address and port can dial any number of different destinations: a given port with
// SO_REUSEADDR, and otherwise one that connect(2) finds, as only it knows the destination.
func bindFrom(fd int, from netip.AddrPort) Errno {
	if from.Port() != 0 {
		setInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	} else {
		setInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) // at this level for both families
	}
	var rsa unix.RawSockaddrAny
	size := fill(&rsa, from)
	_, _, errno := unix.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&rsa)), size)
	return errno
}

// OriginalDst asks the connection tracker where an accepted connection was meant to go before its destination was
// rewritten. local is the socket's own address, which tells the family also on a dual-stack socket. ENOENT where nothing
// is tracked; a connection that was tracked and not rewritten has local itself as the answer.
func OriginalDst(fd int, local netip.Addr) (netip.AddrPort, Errno) {
	level := unix.IPPROTO_IPV6
	if family(local) == unix.AF_INET {
		level = unix.IPPROTO_IP
	}
	var rsa unix.RawSockaddrAny
	// ipv6_getorigdst takes no other size than that of sockaddr_in6.
	size := uint32(unix.SizeofSockaddrInet6)
	if level == unix.IPPROTO_IP {
		size = unix.SizeofSockaddrInet4
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), soOriginalDst,
		uintptr(unsafe.Pointer(&rsa)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return netip.AddrPort{}, errno
	}
	return addrPort(&rsa), 0
}

func tryInt(fd, level, name int, value int32) Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(&value)), 4, 0)
	return errno
}
