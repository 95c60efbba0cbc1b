package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Recv reads what is there. n = 0 with no error is the end of the stream.
func Recv(fd int, b []byte) (n int, errno Errno) {
	return count(unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0))
}

// Send writes what the socket takes.
func Send(fd int, b []byte) (n int, errno Errno) { return send(fd, b, unix.MSG_NOSIGNAL) }

// SendUrgent writes b and marks its last byte urgent.
func SendUrgent(fd int, b []byte) (n int, errno Errno) {
	return send(fd, b, unix.MSG_NOSIGNAL|unix.MSG_OOB)
}

func send(fd int, b []byte, flags uintptr) (int, Errno) {
	return count(unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), flags, 0, 0))
}

// AtUrgentMark says whether the next byte to be read is the urgent one (sockatmark(3)).
func AtUrgentMark(fd int) bool {
	const SIOCATMARK = 0x8905
	return ioctlInt(fd, SIOCATMARK) == 1
}

// Unread are the received bytes that nobody has read (SIOCINQ); Unacked the sent or queued bytes that
// the peer's kernel has not acknowledged (SIOCOUTQ). After a reset Unacked keeps its value: bytes lost.
func Unread(fd int) int  { return ioctlInt(fd, unix.SIOCINQ) }
func Unacked(fd int) int { return ioctlInt(fd, unix.SIOCOUTQ) }

func ioctlInt(fd int, request uintptr) int {
	var v int32
	if _, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&v))); errno != 0 {
		return 0
	}
	return int(v)
}

// Pipe is a kernel buffer for splice(2): bytes pass through it without being copied to user space.
type Pipe struct {
	r, w int
	Size int // bytes it was granted; what fits may be less, as it counts pages, not bytes
}

// NewPipe asks for size bytes. Above fs.pipe-user-pages-soft the kernel hands out pipes of two pages
// and refuses to enlarge them; such a pipe is worse than copying, so it counts as none to be had.
func NewPipe(size int) (Pipe, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return Pipe{}, err
	}
	p := Pipe{r: fds[0], w: fds[1]}
	got, err := unix.FcntlInt(uintptr(p.w), unix.F_SETPIPE_SZ, size)
	if err != nil {
		p.Close()
		return Pipe{}, err
	}
	p.Size = got
	return p, nil
}

// Close frees the pipe and what is in it.
func (p Pipe) Close() {
	Close(p.r)
	Close(p.w)
}

// spliceFlags: SPLICE_F_MOVE | SPLICE_F_NONBLOCK. SPLICE_F_MORE was measured and gains nothing.
const spliceFlags = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK

// Fill moves up to max bytes from the socket into the pipe. Invariant of the callers: the pipe is
// empty, so EAGAIN can only mean that the socket is. Beware: tcp_splice_read answers 0 not only at the
// end of the stream but also at an urgent byte; only Recv tells them apart.
func (p Pipe) Fill(fd, max int) (n int, errno Errno) {
	return count(unix.RawSyscall6(unix.SYS_SPLICE, uintptr(fd), 0, uintptr(p.w), 0, uintptr(max), spliceFlags))
}

// Drain moves up to max bytes from the pipe into the socket.
func (p Pipe) Drain(fd, max int) (n int, errno Errno) {
	return count(unix.RawSyscall6(unix.SYS_SPLICE, uintptr(p.r), 0, uintptr(fd), 0, uintptr(max), spliceFlags))
}

func count(r, _ uintptr, errno Errno) (int, Errno) {
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
}
