package lab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// delayLine is a cable on which every frame is under way for a while: two interfaces in a namespace of their own, and
// this process, which carries frames from one to the other. The kernel's own means, netem, is a module that not every
// kernel has.
type delayLine struct {
	ns      *namespace
	delay   time.Duration
	jitter  time.Duration
	ends    [2]*os.File // packet sockets, one on each interface
	running sync.WaitGroup
}

var delayPorts = [2]string{"left", "right"}

// longestFrame is a segment that has not been cut up yet (GSO), with its headers; that is not done before a real cable.
const longestFrame = 64<<10 + 512

// inFlight bounds the frames under way in one direction. What is more is lost, as in any queue.
const inFlight = 4096

func newDelayLine(delay, jitter time.Duration) (*delayLine, error) {
	ns, err := newNamespace()
	if err != nil {
		return nil, err
	}
	d := &delayLine{ns: ns, delay: delay, jitter: jitter}
	// It has no voice of its own.
	if err := ns.do(func() error { return writeSysctl("net.ipv6.conf.default.disable_ipv6", "1") }); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// open starts to carry frames, once both cables are plugged in.
func (d *delayLine) open() error {
	err := d.ns.do(func() error {
		for i, name := range delayPorts {
			link, err := netlink.LinkByName(name)
			if err == nil {
				err = netlink.LinkSetUp(link)
			}
			if err == nil {
				d.ends[i], err = packetSocket(link.Attrs().Index)
			}
			if err != nil {
				return fmt.Errorf("%s end of the delay line: %w", name, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range d.ends {
		frames := make(chan frame, inFlight)
		d.running.Add(2)
		go d.take(d.ends[i], frames)
		go d.give(d.ends[1-i], frames)
	}
	return nil
}

// packetSocket sees what arrives at the interface, and sends there. Frames have a struct virtio_net_hdr before them,
// which keeps what the kernel has put off: checksums and the cutting into segments.
func packetSocket(index int) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, unavailable("socket(AF_PACKET)", err)
	}
	for _, option := range []int{unix.PACKET_VNET_HDR, unix.PACKET_IGNORE_OUTGOING} {
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_PACKET, option, 1)
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
	return os.NewFile(uintptr(fd), "packets"), nil
}

type frame struct {
	due   time.Time
	bytes []byte
}

func (d *delayLine) take(from *os.File, frames chan<- frame) {
	defer d.running.Done()
	defer close(frames)
	buf := make([]byte, longestFrame)
	for {
		n, err := from.Read(buf)
		if err != nil {
			if errors.Is(err, os.ErrClosed) {
				return
			}
			continue // ENETDOWN, when a cable is pulled out
		}
		select {
		case frames <- frame{time.Now().Add(d.delay + rand.N(d.jitter+1)), append([]byte(nil), buf[:n]...)}:
		default:
		}
	}
}

func (d *delayLine) give(to *os.File, frames <-chan frame) {
	defer d.running.Done()
	for f := range frames {
		time.Sleep(time.Until(f.due))
		to.Write(f.bytes) // a frame that cannot be sent is lost
	}
}

func (d *delayLine) close() error {
	for _, end := range d.ends {
		if end != nil {
			end.Close()
		}
	}
	d.running.Wait()
	return d.ns.close()
}
