package lab

import (
	"fmt"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Send sends a packet from the host as it is given, with its IP header: in whoever's name, as a forger does. The kernel writes
// an IPv4 header's length and checksum (raw(7)), and routes it.
func (h *Host) Send(packet []byte) error {
	return h.Do(func() error {
		family, level, option := unix.AF_INET, unix.IPPROTO_IP, unix.IP_HDRINCL
		var to unix.Sockaddr
		switch {
		case len(packet) >= 20 && packet[0]>>4 == 4:
			to = &unix.SockaddrInet4{Addr: netip.AddrFrom4([4]byte(packet[16:20])).As4()}
		case len(packet) >= 40 && packet[0]>>4 == 6:
			family, level, option = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_HDRINCL
			to = &unix.SockaddrInet6{Addr: [16]byte(packet[24:40])}
		default:
			return fmt.Errorf("%d bytes that begin with no IP header", len(packet))
		}
		fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return unavailable("socket(SOCK_RAW)", err)
		}
		defer unix.Close(fd)
		if err := unix.SetsockoptInt(fd, level, option, 1); err != nil {
			return os.NewSyscallError("setsockopt HDRINCL", err)
		}
		return os.NewSyscallError("sendto", unix.Sendto(fd, packet, 0, to))
	})
}

// Offload switches on all interfaces of the host on or off what merges segments: TSO and GSO of what is sent, GRO of what
// comes in. A veth pair comes with the first two.
func (h *Host) Offload(on bool) error {
	return h.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		defer unix.Close(fd)
		for _, p := range h.ports {
			for _, set := range []uint32{unix.ETHTOOL_STSO, unix.ETHTOOL_SGSO, unix.ETHTOOL_SGRO} {
				if err := ethtool(fd, p.name, set, on); err != nil {
					return fmt.Errorf("offloads of %s: %w", p.name, err)
				}
			}
		}
		return nil
	})
}

// ethtool is ioctl(SIOCETHTOOL) with a struct ethtool_value.
func ethtool(fd int, name string, set uint32, on bool) error {
	value := struct{ command, data uint32 }{command: set}
	if on {
		value.data = 1
	}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // the rest of struct ifreq
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return os.NewSyscallError("ioctl SIOCETHTOOL", errno)
	}
	return nil
}
