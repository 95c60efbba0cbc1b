package lab

import (
	"fmt"
	"net/netip"
	"os"
	"time"

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
		if err := netlink.AddrReplace(lo, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(a, a.BitLen()))}); err != nil {
			return err
		}
		// An IPv6 address gets its route from a work queue (addrconf_dad_work).
		for start := time.Now(); ; time.Sleep(time.Millisecond) {
			routes, err := netlink.RouteGet(a.AsSlice())
			if err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL {
				return nil
			}
			if time.Since(start) > linkPatience {
				return fmt.Errorf("no route to %v of its own, still after %v (%w)", a, linkPatience, err)
			}
		}
	})
}

// FlushConntrack makes the host forget all connections that it tracks.
func (h *Host) FlushConntrack() error {
	return h.Do(func() error { return netlink.ConntrackTableFlush(netlink.ConntrackTable) })
}

func setUserTimeout(fd, ms int) error {
	return os.NewSyscallError("setsockopt TCP_USER_TIMEOUT", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, ms))
}
