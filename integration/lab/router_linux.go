package lab

import (
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TakeAddress gives the host an address that another one has, on its loopback interface: what comes by for that address ends here
// from now on.
func (h *Host) TakeAddress(a netip.Addr) error {
	return h.Do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.AddrReplace(lo, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(a, a.BitLen()))})
	})
}

// FlushConntrack makes the host forget all connections that it tracks.
func (h *Host) FlushConntrack() error {
	return h.Do(func() error { return netlink.ConntrackTableFlush(netlink.ConntrackTable) })
}

func setUserTimeout(fd, ms int) error {
	return os.NewSyscallError("setsockopt TCP_USER_TIMEOUT", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, ms))
}
