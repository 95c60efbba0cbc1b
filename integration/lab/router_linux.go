package lab

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
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

// HardwareAddr is that of an interface.
func (h *Host) HardwareAddr(name string) (mac net.HardwareAddr, err error) {
	err = h.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err == nil {
			mac = link.Attrs().HardwareAddr
		}
		return err
	})
	return mac, err
}

// SetNeighbour has the host send what is for an address on the network of that interface to that hardware, without asking.
func (h *Host) SetNeighbour(name string, a netip.Addr, mac net.HardwareAddr) error {
	return h.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return netlink.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: a.AsSlice(), HardwareAddr: mac})
	})
}

// FlushConntrack makes the host forget all connections that it tracks.
func (h *Host) FlushConntrack() error {
	return h.Do(func() error { return netlink.ConntrackTableFlush(netlink.ConntrackTable) })
}

func setUserTimeout(fd, ms int) error {
	return os.NewSyscallError("setsockopt TCP_USER_TIMEOUT", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, ms))
}

// WaitHandshake waits until the host has answered a SYN to the port, and not had the answer to that.
func (h *Host) WaitHandshake(ctx context.Context, port uint16) error {
	for {
		there := false
		err := h.Do(func() error {
			for _, table := range []string{"tcp", "tcp6"} {
				text, err := os.ReadFile("/proc/thread-self/net/" + table)
				if err != nil {
					return err
				}
				for line := range strings.Lines(string(text)) {
					// "sl local_address rem_address st": in hexadecimal, with the port behind a colon.
					f := strings.Fields(line)
					there = there || len(f) > 3 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) && f[3] == "03"
				}
			}
			return nil
		})
		if err != nil || there {
			return err
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s: no handshake with port %d: %w", h, port, ctx.Err())
		}
	}
}

// Tcpkill starts tcpkill against a port, which ends with the lab, and returns when it watches.
func (h *Host) Tcpkill(ctx context.Context, name string, port uint16) error {
	path, err := tool("tcpkill")
	if err != nil {
		return fmt.Errorf("tcpkill is missing (Debian package dsniff): %w", err)
	}
	cmd := exec.Command(path, "-i", name, "port", fmt.Sprint(port))
	said, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := h.Start(cmd); err != nil {
		return err
	}
	// "tcpkill: listening on toserver [port 80]", written when the packet socket is open.
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil || !strings.Contains(line, "listening") {
		return fmt.Errorf("tcpkill said %q: %w", strings.TrimSpace(line), err)
	}
	return nil
}
