package watch

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"whyreset/diagnose/evidence"
	"whyreset/diagnose/header"
	"whyreset/integration/lab"
)

// A packet that passes two devices of this host, a bridge's port and the bridge, is seen once, and a bulk transfer's account is
// exact whatever segments the kernel has merged.
func TestSeenOnce(t *testing.T) {
	needLab(t, lab.Netns)
	for name, c := range map[string]struct {
		make func(router bool) error // in client and router: a device with an address of 10.78.0.0/24, over the cable between them
		mtu  int
	}{
		"bridge":         {bridgeDevice, 1500},
		"no device more": {func(router bool) error { return address(cable(router), router) }, 1500},
		"jumbo frames":   {func(router bool) error { return address(cable(router), router) }, 9000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := lab.New(lab.Options{MTU: c.mtu})
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			for router, host := range map[bool]*lab.Host{false: n.Client, true: n.Router} {
				if err := host.Do(func() error { return c.make(router) }); errors.Is(err, syscall.EOPNOTSUPP) {
					t.Skipf("this kernel has no such device: %v", err)
				} else if err != nil {
					t.Fatal(err)
				}
			}
			playBulk(t, n)
		})
	}
}

const bulk = 4 << 20

// playBulk receives many bytes in the router's stead, whose packets are watched, sends one back and is reset.
func playBulk(t *testing.T, n *lab.Net) {
	ln, err := n.Router.Listen("tcp", "10.78.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var w *Packets
	if err := n.Router.Do(func() (err error) {
		w, err = OpenPackets(Options{Listening: []netip.AddrPort{unmapped(ln.Addr())}})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client, err := n.Client.Dial(ctx, "tcp", unmapped(ln.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ours, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	c := Connection{Accepted: time.Now(), Down: ownLeg(ours)}
	for _, conn := range []net.Conn{client, ours} {
		conn.SetDeadline(time.Now().Add(patience))
	}
	sent := make(chan error, 1)
	go func() {
		_, err := client.Write(make([]byte, bulk))
		if err == nil {
			_, err = io.ReadFull(client, make([]byte, 1))
		}
		client.(*net.TCPConn).SetLinger(0)
		client.Close()
		sent <- err
	}()
	if _, err := io.CopyN(io.Discard, ours, bulk); err != nil {
		t.Fatal(err)
	}
	ours.Write([]byte{1})
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got %v, want a reset", err)
	}
	c.Ended = time.Now()
	seen, coverage := w.Of(&c)
	if coverage != evidence.Watched {
		t.Errorf("got coverage %q", coverage)
	}
	syns, resets := 0, 0
	last := map[evidence.Leg]evidence.Stream{}
	for _, o := range seen {
		switch p := o.What.(type) {
		case evidence.Stream:
			last[p.From] = p
		case evidence.Packet:
			if p.Flags&evidence.SYN != 0 {
				syns++
			}
			if p.Flags&evidence.RST != 0 {
				resets++
			}
			if p.Copy || p.Repeat && p.Probe {
				t.Errorf("got %+v", p)
			}
		}
	}
	if syns != 2 || resets != 1 {
		t.Errorf("got %d packets with SYN and %d with RST, want 2 and 1", syns, resets)
	}
	far, own := last[evidence.Downstream], last[evidence.NoLeg]
	if far.Bytes != bulk || far.Missing != 0 || own.Bytes != 1 || own.Missing != 0 {
		t.Errorf("got %+v and %+v, want %d bytes and 1, none missing", far, own, bulk)
	}
	if far.Repeated > far.Bytes/2 {
		t.Errorf("got %d bytes of %d more than once", far.Repeated, far.Bytes)
	}
}

// cable is the name of the device between client and router.
func cable(router bool) string {
	if router {
		return "toclient"
	}
	return "eth0"
}

// address gives the device that the test is about its address, and switches it on.
func address(device string, router bool) error {
	text := "10.78.0.2/24"
	if router {
		text = "10.78.0.1/24"
	}
	link, err := netlink.LinkByName(device)
	if err != nil {
		return err
	}
	a, err := netlink.ParseAddr(text)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(link, a); err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

func bridgeDevice(router bool) error {
	port, err := netlink.LinkByName(cable(router))
	if err != nil {
		return err
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	if err := netlink.LinkAdd(bridge); err != nil {
		return err
	}
	if err := netlink.LinkSetMaster(port, bridge); err != nil {
		return err
	}
	return address("br0", router)
}

// A packet with a VLAN's tag is that of the VLAN's device, which shows it without: it is not seen here, too. Tag 0 is a priority.
func TestVLANTags(t *testing.T) {
	n := newLab(t, lab.Netns)
	var w *Packets
	var to netlink.Link
	if err := n.Router.Do(func() (err error) {
		if to, err = netlink.LinkByName("toclient"); err != nil {
			return err
		}
		w, err = OpenPackets(Options{Listening: []netip.AddrPort{netip.MustParseAddrPort("10.77.1.1:80")}})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	const tagged, priority, plain = 1001, 1002, 1003 // ports that the SYNs come from
	if err := n.Client.Do(func() error {
		from, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, c := range []struct {
			port uint16
			tag  []byte
		}{{tagged, []byte{0x81, 0, 0, 5}}, {priority, []byte{0x81, 0, 0x60, 0}}, {plain, nil}} {
			syn := []byte{0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 77, 1, 2, 10, 77, 1, 1, byte(c.port >> 8), byte(c.port), 0, 80,
				0, 0, 0, 1, 0, 0, 0, 0, 0x50, byte(header.SYN), 1, 0, 0, 0, 0, 0}
			frame := slices.Concat(to.Attrs().HardwareAddr, from.Attrs().HardwareAddr, c.tag, []byte{8, 0}, syn)
			if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: from.Attrs().Index}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	saw := func(port uint16) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.drain()
		return w.table.flows[keyOf(netip.MustParseAddrPort("10.77.1.1:80"), netip.AddrPortFrom(n.Client.Addr4(), port))] != nil
	}
	for deadline := time.Now().Add(patience); !saw(plain); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the packet without a tag was not seen")
		}
	}
	if !saw(priority) || saw(tagged) {
		t.Errorf("got tag 0 seen %v and tag 5 seen %v, want only tag 0", saw(priority), saw(tagged))
	}
}
