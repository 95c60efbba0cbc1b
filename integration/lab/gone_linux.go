package lab

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// gone reports whether the kernel has given the connection up: the state is CLOSE. After a FIN of the other side this is
// the one trace of a reset that takes no error away from a later call.
func gone(conn net.Conn) (bool, error) {
	tcp, err := tcpOf(conn)
	if err != nil {
		return false, err
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false, err
	}
	var info *unix.TCPInfo
	var callErr error
	if err := raw.Control(func(fd uintptr) { info, callErr = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); err != nil {
		return false, err
	}
	if callErr != nil {
		return false, os.NewSyscallError("getsockopt TCP_INFO", callErr)
	}
	return info.State == unix.BPF_TCP_CLOSE, nil
}
