package kernel

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// addrPort reads a kernel address; IPv4-mapped IPv6 becomes IPv4, so that one peer has one name.
func addrPort(rsa *unix.RawSockaddrAny) netip.AddrPort {
	switch rsa.Addr.Family {
	case unix.AF_INET:
		a := (*unix.RawSockaddrInet4)(unsafe.Pointer(rsa))
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), ntohs(a.Port))
	case unix.AF_INET6:
		a := (*unix.RawSockaddrInet6)(unsafe.Pointer(rsa))
		ip := netip.AddrFrom16(a.Addr).Unmap()
		if a.Scope_id != 0 && ip.Is6() {
			ip = ip.WithZone(strconv.Itoa(int(a.Scope_id)))
		}
		return netip.AddrPortFrom(ip, ntohs(a.Port))
	}
	return netip.AddrPort{}
}

// fill writes the kernel's form of at and returns its size.
func fill(rsa *unix.RawSockaddrAny, at netip.AddrPort) uintptr {
	if ip := at.Addr().Unmap(); ip.Is4() {
		*(*unix.RawSockaddrInet4)(unsafe.Pointer(rsa)) = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: ntohs(at.Port()), Addr: ip.As4()}
		return unix.SizeofSockaddrInet4
	}
	*(*unix.RawSockaddrInet6)(unsafe.Pointer(rsa)) = unix.RawSockaddrInet6{
		Family: unix.AF_INET6, Port: ntohs(at.Port()), Addr: at.Addr().As16(), Scope_id: scope(at.Addr().Zone())}
	return unix.SizeofSockaddrInet6
}

func sockaddr(at netip.AddrPort) unix.Sockaddr {
	if ip := at.Addr().Unmap(); ip.Is4() {
		return &unix.SockaddrInet4{Port: int(at.Port()), Addr: ip.As4()}
	}
	return &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16(), ZoneId: scope(at.Addr().Zone())}
}

// scope turns a zone, a number or an interface name, into the kernel's scope id; zero when there is none.
func scope(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	if i, err := net.InterfaceByName(zone); err == nil {
		return uint32(i.Index)
	}
	return 0
}

// ntohs swaps between network order and the order of this machine.
func ntohs(n uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&n))
	return uint16(b[0])<<8 | uint16(b[1])
}

func asErrno(err error) Errno {
	var errno Errno
	if errors.As(err, &errno) {
		return errno
	}
	return unix.EINVAL
}
