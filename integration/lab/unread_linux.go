package lab

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// unread asks tcp_ioctl (SIOCINQ) how many bytes lie in the receive queue. It reads nothing, and takes no error that the
// socket may hold.
func unread(conn net.Conn) (int, error) {
	tcp, err := tcpOf(conn)
	if err != nil {
		return 0, err
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	var n int
	var callErr error
	if err := raw.Control(func(fd uintptr) { n, callErr = unix.IoctlGetInt(int(fd), unix.SIOCINQ) }); err != nil {
		return 0, err
	}
	if callErr != nil {
		return 0, fmt.Errorf("bytes unread: %w", os.NewSyscallError("ioctl SIOCINQ", callErr))
	}
	return n, nil
}
