package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Backlog sets how many connections that nobody has accepted the listener holds, and one more; the SYNs of others are
// dropped until there is room (tcp_conn_request).
func Backlog(ln net.Listener, n int) error {
	return control(ln, func(fd int) error { return os.NewSyscallError("listen", unix.Listen(fd, n)) })
}

// WaitQueued waits until n connections are there for the listener to accept.
func WaitQueued(ctx context.Context, ln net.Listener, n int) error {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		var got uint32
		err := control(ln, func(fd int) error {
			info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
			if err == nil {
				got = info.Unacked // of a listener tcp_get_info gives sk_ack_backlog there
			}
			return os.NewSyscallError("getsockopt TCP_INFO", err)
		})
		if err != nil || int(got) >= n {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%d connections to be accepted, waited for %d: %w", got, n, ctx.Err())
		}
	}
}

// Occupy takes a port of this machine, where nobody listens, so that nobody else gets it.
func Occupy(addr netip.Addr) (at netip.AddrPort, free func(), err error) {
	family, any := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: addr.As16()})
	if addr.Is4() {
		family, any = unix.AF_INET, &unix.SockaddrInet4{Addr: addr.As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return at, nil, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, any); err != nil {
		unix.Close(fd)
		return at, nil, os.NewSyscallError("bind", err)
	}
	var port int
	switch got, err := unix.Getsockname(fd); got := got.(type) {
	case *unix.SockaddrInet4:
		port = got.Port
	case *unix.SockaddrInet6:
		port = got.Port
	default:
		unix.Close(fd)
		return at, nil, os.NewSyscallError("getsockname", err)
	}
	return netip.AddrPortFrom(addr, uint16(port)), func() { unix.Close(fd) }, nil
}

func control(ln net.Listener, fn func(fd int) error) error {
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return fmt.Errorf("a %T is not a TCP listener", ln)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	if err := raw.Control(func(fd uintptr) { callErr = fn(int(fd)) }); err != nil {
		return err
	}
	return callErr
}
