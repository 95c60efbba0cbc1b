package watch

import "golang.org/x/sys/unix"

// peek says whether there is something to read, and leaves it.
func peek(fd uintptr) bool {
	n, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err == nil && n == 1
}
