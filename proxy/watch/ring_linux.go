package watch

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"whyreset/proxy/kernel"
)

// ring is an AF_PACKET socket with a ring of TPACKET_V2 frames: each is there as soon as its packet is, without a block that must
// fill first, and nobody is woken who does not wait.
type ring struct {
	fd     int
	memory []byte
	at     int // the frame to be read next
	bell   int // eventfd: ends a wait
}

// Sizes of the ring. A frame holds its header (32), the device's address (20 and padding) and snap bytes of the packet.
const (
	frameSize   = 256
	blockSize   = 64 << 10
	mostFrames  = 32 << 10 // 8 MB: more than a second of 20 Gbit/s in segments as offloads merge them
	leastFrames = blockSize / frameSize
)

// openRing opens the socket. It is bound to a protocol only when the filter is there: nothing gets in that it does not want.
func openRing(filter []bpf.Instruction, frames int) (*ring, error) {
	r := &ring{fd: -1, bell: -1}
	if err := r.open(filter, frames); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *ring) open(filter []bpf.Instruction, frames int) (err error) {
	if r.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return os.NewSyscallError("socket(AF_PACKET)", err)
	}
	if err = unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2); err != nil {
		return os.NewSyscallError("PACKET_VERSION", err)
	}
	if err = r.setFilter(filter); err != nil {
		return err
	}
	if frames = frames / leastFrames * leastFrames; frames <= 0 {
		frames = mostFrames
	}
	for {
		req := unix.TpacketReq{Block_size: blockSize, Block_nr: uint32(frames / leastFrames), Frame_size: frameSize, Frame_nr: uint32(frames)}
		if err = unix.SetsockoptTpacketReq(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err == nil {
			break
		}
		if err != unix.ENOMEM || frames <= leastFrames {
			return os.NewSyscallError("PACKET_RX_RING", err)
		}
		frames /= 2
	}
	if r.memory, err = unix.Mmap(r.fd, 0, frames*frameSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	if r.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	if err = unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_ALL)}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	return nil
}

func bigEndian(n uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&n))
	return uint16(b[0])<<8 | uint16(b[1])
}

// setFilter exchanges the filter; no packet is seen by none.
func (r *ring) setFilter(program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return fmt.Errorf("packet filter: %w", err)
	}
	code := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		code[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	err = unix.SetsockoptSockFprog(r.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]})
	return os.NewSyscallError("SO_ATTACH_FILTER", err)
}

// ignoreOutgoing keeps from the filter what this host sends, which spares the kernel a copy of each packet's descriptor. The
// loopback device is not concerned: there packets are seen when they arrive. Needs kernel 4.20; before, nothing changes.
func (r *ring) ignoreOutgoing(yes bool) {
	value := 0
	if yes {
		value = 1
	}
	unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, value)
}

func (r *ring) header() *unix.Tpacket2Hdr {
	return (*unix.Tpacket2Hdr)(unsafe.Pointer(&r.memory[r.at*frameSize]))
}

// next is the oldest frame that has not been released; without data when there is none.
func (r *ring) next() frame {
	h := r.header()
	if atomic.LoadUint32(&h.Status)&unix.TP_STATUS_USER == 0 {
		return frame{}
	}
	base := r.at * frameSize
	// struct sockaddr_ll: family, protocol, then index of the device, type of hardware, type of packet.
	device := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&r.memory[base+int(unsafe.Sizeof(*h)+15)&^15]))
	start := base + int(h.Net)
	end := min(start+int(h.Snaplen), base+frameSize)
	return frame{
		data: r.memory[start:end:end], wire: int(h.Len), wall: int64(h.Sec)*1e9 + int64(h.Nsec),
		device: device.Ifindex, outgoing: device.Pkttype == packetOutgoing, loopback: device.Ifindex == loopbackIndex,
	}
}

// release gives the frame of next back to the kernel.
func (r *ring) release() {
	atomic.StoreUint32(&r.header().Status, unix.TP_STATUS_KERNEL)
	if r.at++; r.at*frameSize == len(r.memory) {
		r.at = 0
	}
}

// lost is how many packets found no room since it was last asked.
func (r *ring) lost() uint64 {
	s, err := unix.GetsockoptTpacketStats(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0
	}
	return uint64(s.Drops)
}

// wait returns when there is a packet, or wake was called.
func (r *ring) wait() error {
	fds := []unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN}, {Fd: int32(r.bell), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, kernel.LongestWait)
		switch {
		case err == unix.EINTR || err == nil && n == 0:
		case err != nil:
			return os.NewSyscallError("poll", err)
		case fds[0].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0:
			if errno, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && errno != 0 {
				return os.NewSyscallError("packet socket", unix.Errno(errno))
			}
			return nil
		default:
			return nil
		}
	}
}

// wake ends every wait from now on.
func (r *ring) wake() {
	unix.Write(r.bell, []byte{0, 0, 0, 0, 0, 0, 0, 1}) // no order of bytes makes it zero
}

func (r *ring) close() {
	if r.memory != nil {
		unix.Munmap(r.memory)
	}
	for _, fd := range []int{r.fd, r.bell} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}
