package lab

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// firstIndex is that of the router's first interface. linkwatch_urgent_event (net/core/link_watch.c) takes the news that
// a cable is plugged in at once only if an interface's index differs from that of its other end, and may otherwise wait
// for a second; hosts number their own from 2.
const firstIndex = 11

// linkPatience bounds the wait for links to come up, which takes a few milliseconds.
const linkPatience = 10 * time.Second

// wire turns empty namespaces into the network.
func wire(n *Net, o Options) error {
	for _, h := range n.row {
		if err := h.Do(h.parameters); err != nil {
			return err
		}
	}
	for i, next := range n.row[1:] {
		if err := n.plug(n.row[i], next, firstIndex+i, o.MTU); err != nil {
			return err
		}
	}
	if n.delay != nil {
		if err := n.delay.open(); err != nil {
			return err
		}
	}
	for _, h := range n.row {
		if err := h.Do(h.configure); err != nil {
			return err
		}
	}
	// An interface is up when its other end is, so this is a round of its own.
	for _, h := range n.row {
		if err := h.Do(h.waitUp); err != nil {
			return err
		}
	}
	return nil
}

// plug joins the last interface of the one to the first of the next, with the delay behind the router if there is one.
// index is that of the interface of the host that forwards.
func (n *Net) plug(one, next *Host, index, mtu int) error {
	a, b := one.ports[len(one.ports)-1].name, next.ports[0].name
	join := func(from *namespace, here string, index int, there string, to *namespace) error {
		return from.do(func() error { return cable(here, index, there, to, mtu) })
	}
	var err error
	switch {
	case one == n.Client:
		err = join(next.ns, b, index, a, one.ns)
	case one == n.Router && n.delay != nil:
		if err = join(one.ns, a, index, delayPorts[0], n.delay.ns); err == nil {
			err = join(n.delay.ns, delayPorts[1], firstIndex, b, next.ns)
		}
	default:
		err = join(one.ns, a, index, b, next.ns)
	}
	if err != nil {
		return unavailable("a veth pair between "+one.name+" and "+next.name, err)
	}
	return nil
}

// cable makes an interface here and another one over there, and joins them.
func cable(here string, index int, there string, ns *namespace, mtu int) error {
	pair := netlink.NewVeth(netlink.LinkAttrs{Name: here, Index: index, MTU: mtu})
	pair.PeerName, pair.PeerMTU = there, uint32(mtu)
	pair.PeerNamespace = netlink.NsFd(ns.handle)
	return netlink.LinkAdd(pair)
}

// parameters are set before there are interfaces, which take theirs from "default" when they are made.
func (h *Host) parameters() error {
	all := [][2]string{
		{"net.ipv6.conf.default.disable_ipv6", "0"}, // distributions have other defaults for these
		{"net.ipv6.conf.all.disable_ipv6", "0"},
		{"net.ipv6.conf.default.accept_dad", "0"}, // both, or there is duplicate address detection
		{"net.ipv6.conf.all.accept_dad", "0"},
		{"net.ipv6.conf.default.accept_ra", "0"},
		{"net.ipv6.conf.default.keep_addr_on_down", "1"},
		{"net.ipv4.conf.default.rp_filter", "0"},
		{"net.ipv4.conf.all.rp_filter", "0"},
		{"net.ipv4.icmp_ratelimit", "0"},
		{"net.ipv6.icmp.ratelimit", "0"},
	}
	if len(h.ports) > 1 {
		all = append(all, [2]string{"net.ipv4.ip_forward", "1"}, [2]string{"net.ipv6.conf.all.forwarding", "1"})
	}
	for _, p := range all {
		if err := writeSysctl(p[0], p[1]); err != nil {
			return err
		}
	}
	return nil
}

// configure brings every interface to the state it is meant to have, whatever state it is in.
func (h *Host) configure() error {
	if err := loopbackUp(); err != nil {
		return err
	}
	for _, p := range h.ports {
		if err := p.configure(); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// loopbackUp switches lo on in the namespace of the current thread: a new one has it off.
func loopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return unavailable("lo up", err)
	}
	return nil
}

func (p port) configure() error {
	link, err := netlink.LinkByName(p.name)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("up: %w", err)
	}
	for _, a := range []netip.Prefix{p.addr4, p.addr6} {
		if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: ipNet(a)}); err != nil {
			return fmt.Errorf("address %v: %w", a, err)
		}
	}
	for _, r := range []struct {
		via  netip.Addr
		only netip.Prefix
	}{{p.via4, p.only4}, {p.via6, p.only6}} {
		if !r.via.IsValid() {
			continue
		}
		route := netlink.Route{LinkIndex: link.Attrs().Index, Gw: r.via.AsSlice()}
		if r.only.IsValid() {
			route.Dst = ipNet(r.only)
		}
		if err := netlink.RouteReplace(&route); err != nil {
			return fmt.Errorf("route by %v: %w", r.via, err)
		}
	}
	return nil
}

// waitUp waits until the host's interfaces work.
func (h *Host) waitUp() error {
	for _, p := range h.ports {
		if err := p.waitUp(); err != nil {
			return err
		}
	}
	return nil
}

func (p port) waitUp() error {
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		missing, err := p.missing()
		switch {
		case err != nil:
			return err
		case missing == "":
			return nil
		case time.Since(start) > linkPatience:
			return fmt.Errorf("%s: %s, still after %v", p.name, missing, linkPatience)
		}
	}
}

// missing says what is not ready yet. In both cases a first packet would be lost without a word, and a SYN is sent again
// only after a second.
func (p port) missing() (string, error) {
	link, err := netlink.LinkByName(p.name)
	if err != nil {
		return "", err
	}
	// Before, noop_qdisc throws away what is to be sent.
	if state := link.Attrs().OperState; state != netlink.OperUp {
		return fmt.Sprintf("the link is %v", state), nil
	}
	// addrconf_dad_begin, which runs on a work queue, joins the group to which neighbours ask for the address, and after
	// that takes the flag off. An address added with IFA_F_NODAD never has the flag and so does not show when it is ready.
	addrs, err := netlink.AddrList(link, netlink.FAMILY_V6)
	if err != nil {
		return "", err
	}
	for _, a := range addrs {
		if a.Flags&unix.IFA_F_TENTATIVE != 0 {
			return fmt.Sprintf("address %v is tentative", a.IPNet), nil
		}
	}
	return "", nil
}

// LinkDown switches an interface of the host off: eth0, or the router's toclient or toserver. The host itself then has no
// route there; to the host at the other end it is a cable pulled out, which is silence.
func (h *Host) LinkDown(name string) error {
	return h.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return netlink.LinkSetDown(link)
	})
}

// LinkUp switches an interface on again, with its addresses and routes, and waits until it works. The interface at its
// other end must not be switched off.
func (h *Host) LinkUp(name string) error {
	for _, p := range h.ports {
		if p.name == name {
			return h.Do(func() error {
				if err := p.configure(); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				return p.waitUp()
			})
		}
	}
	return fmt.Errorf("%s has no interface %q", h.name, name)
}

// cutOff switches off all interfaces of the host, so that what is left of it, if a socket is still open, reaches no one.
// Removing them would do as well and take the kernel a hundred times as long.
func (h *Host) cutOff() error {
	return h.Do(func() error {
		for _, p := range h.ports {
			link, err := netlink.LinkByName(p.name)
			if err != nil {
				continue // building the lab came to no more
			}
			if err := netlink.LinkSetDown(link); err != nil {
				return err
			}
		}
		return nil
	})
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
