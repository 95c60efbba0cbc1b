package watch

import (
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// peek says whether there is something to read, and leaves it.
func peek(fd uintptr) bool {
	n, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err == nil && n == 1
}

// bound is a TCP socket with an address of its own, on which nobody listens as long as the test runs.
func bound(t testing.TB, at netip.Addr) (fd int, address netip.AddrPort) {
	t.Helper()
	family := unix.AF_INET
	if at.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skip("no IPv6 on this machine: ", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(at, 0))); err != nil {
		t.Skip("no IPv6 on this machine: ", err)
	}
	address, err = localAddress(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fd, address
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// refused connects to a closed port and returns the address that it did so from.
func refused(t testing.TB, to netip.AddrPort) netip.AddrPort {
	t.Helper()
	own, err := connectRefused(to.Addr(), to)
	if err != nil {
		t.Fatal(err)
	}
	return own
}

// connectRefused is refused for use in a host.
func connectRefused(from netip.Addr, to netip.AddrPort) (own netip.AddrPort, err error) {
	family := unix.AF_INET
	if to.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return own, err
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(from, 0))); err != nil {
		return own, err
	}
	if err := unix.Connect(fd, sockaddr(to)); err != unix.ECONNREFUSED {
		return own, fmt.Errorf("got %v of a connect to a closed port, want it refused", err)
	}
	return localAddress(fd)
}

func localAddress(fd int) (netip.AddrPort, error) {
	name, err := unix.Getsockname(fd)
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(name.Addr), uint16(name.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(name.Addr), uint16(name.Port)), nil
	}
	return netip.AddrPort{}, fmt.Errorf("getsockname: got %v, %w", name, err)
}
