package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Capture sees every frame that comes to an interface of a host or leaves it.
type Capture struct {
	socket *os.File
	each   func([]byte) // nil: frames are kept
	frames []Frame
	err    error
	done   chan struct{}
	buf    [longestFrame]byte
	oob    [128]byte
}

// Capture begins to watch an interface of the host: eth0, or toclient or toserver of one that forwards.
func (h *Host) Capture(name string) (*Capture, error) { return h.capture(name, nil) }

// Tap calls each for every frame that comes to an interface of the host or leaves it, one after the other, until stop.
func (h *Host) Tap(name string, each func(frame []byte)) (stop func(), err error) {
	c, err := h.capture(name, each)
	if err != nil {
		return nil, err
	}
	return func() { c.Frames() }, nil // whoever only looks on need not know that something was missed
}

func (h *Host) capture(name string, each func([]byte)) (*Capture, error) {
	c := &Capture{each: each, done: make(chan struct{})}
	err := h.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err == nil {
			c.socket, err = openCapture(link.Attrs().Index)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("capture at %s: %w", name, err)
	}
	go c.read()
	return c, nil
}

func openCapture(index int) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, unavailable("socket(AF_PACKET)", err)
	}
	for _, o := range [][2]int{{unix.SO_RCVBUF, 64 << 20}, {unix.SO_TIMESTAMPNS, 1}} {
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[0], o[1]) // SO_RCVBUF: as much as net.core.rmem_max allows
		}
	}
	if err == nil {
		all := uint16(unix.ETH_P_ALL)
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all<<8 | all>>8, Ifindex: index})
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "capture"), nil
}

// stopAfter is how long Frames waits for what is on its way into the socket's queue. A frame is there as soon as it is sent.
const stopAfter = 20 * time.Millisecond

// Frames ends the capture and returns what was seen. The error says so if some of it was lost.
func (c *Capture) Frames() ([]Frame, error) {
	c.socket.SetReadDeadline(time.Now().Add(stopAfter))
	<-c.done
	defer c.socket.Close()
	raw, err := c.socket.SyscallConn()
	if err != nil {
		return c.frames, errors.Join(c.err, err)
	}
	raw.Control(func(fd uintptr) {
		stats, statErr := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
		if err = statErr; err == nil && stats.Drops > 0 {
			err = fmt.Errorf("%d frames came faster than they were read, and are missing", stats.Drops)
		}
	})
	return c.frames, errors.Join(c.err, err)
}

func (c *Capture) read() {
	defer close(c.done)
	raw, err := c.socket.SyscallConn()
	if err != nil {
		c.err = err
		return
	}
	for {
		var got error
		err := raw.Read(func(fd uintptr) bool {
			got = c.one(int(fd))
			return got != unix.EAGAIN
		})
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			// It may have passed before this goroutine had its turn: what is there is read.
			raw.Control(func(fd uintptr) {
				for got = nil; got == nil || got == unix.ENETDOWN; got = c.one(int(fd)) {
				}
			})
			return
		case err != nil:
			c.err = err
			return
		case got == unix.ENETDOWN: // a cable was pulled out: told once, and it goes on
			continue
		case got != nil:
			c.err = os.NewSyscallError("recvmsg", got)
			return
		}
	}
}

// one reads one frame.
func (c *Capture) one(fd int) error {
	n, oobn, _, _, err := unix.Recvmsg(fd, c.buf[:], c.oob[:], 0)
	if err != nil {
		return err
	}
	frame := append([]byte(nil), c.buf[:n]...)
	if c.each != nil {
		c.each(frame)
	} else {
		c.frames = append(c.frames, Frame{At: stampOf(c.oob[:oobn]), Bytes: frame})
	}
	return nil
}

// stampOf is the time in SCM_TIMESTAMPNS.
func stampOf(oob []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return time.Time{}
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		}
	}
	return time.Time{}
}
