package kernel

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Poll bits, as epoll(7) names them.
const (
	PollIn    = unix.EPOLLIN
	PollOut   = unix.EPOLLOUT
	PollPri   = unix.EPOLLPRI
	PollErr   = unix.EPOLLERR
	PollHup   = unix.EPOLLHUP
	PollRdHup = unix.EPOLLRDHUP
	PollEdge  = unix.EPOLLET
)

// Event is what epoll_wait(2) returns. Its token is the caller's, untouched.
type Event unix.EpollEvent

// Mask are the event's poll bits.
func (e *Event) Mask() uint32 { return e.Events }

// Token is the value given to Add.
func (e *Event) Token() uint64 { return uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32 }

// Poll is one epoll instance with an eventfd to wake its waiter.
type Poll struct {
	fd, wake int
}

// WakeToken is the token of the event that Wake causes; callers' tokens must differ from it.
const WakeToken = ^uint64(0)

// NewPoll makes the instance. It fails only for want of descriptors or memory.
func NewPoll() (*Poll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	p := &Poll{fd: fd, wake: wake}
	if errno := p.Add(wake, PollIn, WakeToken); errno != 0 {
		p.Close()
		return nil, errno
	}
	return p, nil
}

// Close frees both descriptors. No Wait may be under way.
func (p *Poll) Close() {
	unix.Close(p.wake)
	unix.Close(p.fd)
}

// Add watches fd. A closed descriptor leaves by itself, as long as nobody duplicated it.
func (p *Poll) Add(fd int, mask uint32, token uint64) Errno {
	return p.ctl(unix.EPOLL_CTL_ADD, fd, mask, token)
}

// Change replaces what is watched for; mask 0 pauses a level-triggered listener.
func (p *Poll) Change(fd int, mask uint32, token uint64) Errno {
	return p.ctl(unix.EPOLL_CTL_MOD, fd, mask, token)
}

func (p *Poll) ctl(op, fd int, mask uint32, token uint64) Errno {
	ev := unix.EpollEvent{Events: mask, Fd: int32(token), Pad: int32(token >> 32)}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), uintptr(op), uintptr(fd),
		uintptr(unsafe.Pointer(&ev)), 0, 0)
	return errno
}

// Wake makes a present or the next Wait return with WakeToken. Safe from any goroutine.
func (p *Poll) Wake() {
	one := [8]byte{7: 1}
	unix.RawSyscall(unix.SYS_WRITE, uintptr(p.wake), uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one)) // an eventfd: never waits
}

// Woken empties the eventfd after a WakeToken.
func (p *Poll) Woken() {
	var b [8]byte
	unix.RawSyscall(unix.SYS_READ, uintptr(p.wake), uintptr(unsafe.Pointer(&b)), unsafe.Sizeof(b))
}

// rawWait bounds how long Wait keeps its processor while nothing happens, in ms. Leaving through the
// scheduler costs two futex calls for each wait; 2 ms of patience saves them under load, and an idle
// loop sleeps properly after that.
const rawWait = 2

// Wait fills events, and may return with none. A negative timeout is for whoever has nothing to do before an event; 0 does
// not wait; in ms. It waits for LongestWait at most.
func (p *Poll) Wait(events []Event, timeout int) int {
	first := timeout
	if timeout < 0 || timeout > rawWait {
		first = rawWait
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(first), 0, 0)
	// A loop made of raw calls alone has no preemption point and would starve the collector
	// (measured: runtime.GC did not end in 30 s). This call is one.
	preemptionPoint()
	if errno == 0 && n > 0 {
		return int(n)
	}
	if errno != 0 { // EINTR: the runtime wants the processor
		runtime.Gosched()
		return 0
	}
	if first == timeout {
		return 0
	}
	if timeout < 0 || timeout > LongestWait {
		timeout = LongestWait
	}
	timeout -= first
	got, _ := unix.EpollWait(p.fd, *(*[]unix.EpollEvent)(unsafe.Pointer(&events)), timeout)
	return max(got, 0)
}

//go:noinline
func preemptionPoint() { stackCheck(1) }

// stackCheck recurses, so the compiler must give it the prologue in which a goroutine is preempted.
//
//go:noinline
func stackCheck(n int) {
	if n > 0 {
		stackCheck(n - 1)
	}
}
