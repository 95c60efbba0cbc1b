package lab

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// vanish closes a socket that is in repair mode: tcp_close then disconnects it, and tcp_disconnect sends nothing.
func vanish(conn net.Conn) error {
	tcp, err := tcpOf(conn)
	if err != nil {
		return err
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	if err := raw.Control(func(fd uintptr) { callErr = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_REPAIR, 1) }); err != nil {
		return err
	}
	if callErr != nil {
		return os.NewSyscallError("setsockopt TCP_REPAIR", callErr)
	}
	return tcp.Close()
}
