package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"whyreset/diagnose/evidence"
	"whyreset/diagnose/header"
	"whyreset/integration/lab"
	"whyreset/proxy/kernel"
	"whyreset/proxy/rules"
)

// A tap is a look at one device of the router's only: the truth about which leg a packet belongs to.
type tap struct {
	ring *ring
	done chan struct{}
	seen map[tapped]int // how often
}

// tapped is a packet, as it is known again among those told.
type tapped struct {
	device   string
	outgoing bool
	src, dst netip.AddrPort
	seq, ack uint32
	flags    evidence.TCPFlags
	payload  uint32
	window   uint16
	ttl      uint8
	id       uint16
}

// openTap must be called in the host.
func openTap(device string) (*tap, error) {
	link, err := net.InterfaceByName(device)
	if err != nil {
		return nil, err
	}
	r, err := openRing([]bpf.Instruction{bpf.RetConstant{Val: snap}}, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_ALL), Ifindex: link.Index}); err != nil {
		r.close()
		return nil, err
	}
	return &tap{ring: r, done: make(chan struct{}), seen: map[tapped]int{}}, nil
}

// read collects packets until stop is closed and there are no more.
func (p *tap) read(device string, stop <-chan struct{}) {
	defer close(p.done)
	defer p.ring.close()
	for last := false; ; {
		f := p.ring.next()
		if f.data == nil {
			if last {
				return
			}
			select {
			case <-stop:
				time.Sleep(100 * time.Millisecond) // what comes after the last connection's end
				last = true
			case <-time.After(5 * time.Millisecond):
			}
			continue
		}
		p.take(device, &f)
		p.ring.release()
	}
}

func (p *tap) take(device string, f *frame) {
	ip, state := header.ParseIP(f.data, f.wire)
	if state != header.Whole || ip.Protocol != header.ProtocolTCP {
		return
	}
	tcp, state := header.ParseTCP(ip.Payload, ip.PayloadLength)
	if state != header.Whole {
		return
	}
	p.seen[tapped{device, f.outgoing, netip.AddrPortFrom(ip.Src, tcp.SrcPort), netip.AddrPortFrom(ip.Dst, tcp.DstPort),
		tcp.Seq, tcp.Ack, evidence.TCPFlags(tcp.Flags), uint32(tcp.PayloadLength), tcp.Window, ip.TTL, uint16(ip.ID)}]++
}

// legsWay is how the router comes between.
type legsWay struct {
	name   string
	mode   rules.Mode
	source rules.Source
}

// What is told of 200 connections at once, reset by both sides, belongs to their legs: it was seen on the device of that leg, in
// its direction, with its addresses. With the client as source both legs have the same four-tuple.
func TestEveryPacketIsGivenToItsLeg(t *testing.T) {
	for _, way := range []legsWay{
		{"both legs the same four-tuple", rules.TProxy, rules.SourceClient},
		{"own address", rules.TProxy, rules.SourceOwn},
		{"destination rewritten", rules.Redirect, rules.SourceOwn},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			playLegs(t, way)
		})
	}
}

const (
	legsListen  = 15001
	serverReset = 80 // ports of the server, by who resets
	clientReset = 81
	legsMany    = 200
)

func playLegs(t *testing.T, way legsWay) {
	n := newLab(t, lab.Netns, lab.NFT)
	plan, err := rules.New(rules.Settings{Placement: rules.Router, Mark: rules.DefaultMark, Captures: []rules.Capture{
		{Name: "all", Mode: way.mode, Source: way.source, Port: legsListen, Ports: []rules.PortRange{{First: 80, Last: 89}}}}})
	if err != nil {
		t.Fatal(err)
	}
	r := &legsRouter{Net: n, t: t, way: way}
	devices := []string{"toclient", "toserver"}
	taps := make([]*tap, len(devices))
	stop := make(chan struct{})
	err = n.Router.Do(func() (err error) {
		if err = plan.Apply(context.Background(), filepath.Join(t.TempDir(), "rules.json")); err != nil {
			return err
		}
		if r.watch, err = OpenPackets(Options{Listening: []netip.AddrPort{netip.AddrPortFrom(netip.IPv6Unspecified(), legsListen)}}); err != nil {
			return err
		}
		r.openWitness()
		for i, device := range devices {
			if taps[i], err = openTap(device); err != nil {
				return err
			}
			go taps[i].read(device, stop)
		}
		config := net.ListenConfig{Control: transparent}
		config.SetMultipathTCP(false)
		r.ln, err = config.Listen(context.Background(), "tcp", fmt.Sprintf(":%d", legsListen))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.watch.Close()
	defer r.ln.Close()
	r.watch.Port(serverReset)
	r.watch.Port(clientReset)

	server := lab.Script{Steps: []lab.Step{lab.Read(100), lab.Write(50), lab.Read(1), lab.Reset()}}
	waits := lab.Script{Steps: []lab.Step{lab.Read(100), lab.Write(50), lab.ReadAll()}}
	for port, script := range map[int]lab.Script{serverReset: server, clientReset: waits} {
		ln, err := n.Server.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			t.Fatal(err)
		}
		peer := lab.Serve(ln, script)
		defer peer.Stop()
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var clients, carried sync.WaitGroup
	carried.Go(func() { r.carryAll(&carried) })
	for i := range legsMany {
		clients.Go(func() {
			addr, port := n.Server.Addr4(), uint16(serverReset+i/2%2)
			if i%2 == 1 {
				addr = n.Server.Addr6()
			}
			conn, err := n.Client.Dial(ctx, "tcp", netip.AddrPortFrom(addr, port))
			if err != nil {
				t.Error(err)
				return
			}
			last := lab.Write(1)
			if port == clientReset {
				last = lab.Reset()
			}
			lab.Run(ctx, conn, lab.Script{Steps: []lab.Step{lab.Write(100), lab.Read(50), last, lab.ReadAll()}})
		})
	}
	clients.Wait()
	carried.Wait()
	close(stop)
	truth := map[tapped]int{}
	for _, tap := range taps {
		<-tap.done
		for p, n := range tap.seen {
			truth[p] += n
		}
	}
	if len(r.carried) != legsMany {
		t.Fatalf("%d connections were carried, want %d", len(r.carried), legsMany)
	}
	for i := range r.carried {
		r.check(&r.carried[i], truth)
	}
}

// legsRouter carries bytes between clients and server as a proxy does, with the sockets of the net package.
type legsRouter struct {
	*lab.Net
	t       *testing.T
	way     legsWay
	watch   *Packets
	witness *Witness // nil: not to be had
	ln      net.Listener

	mu      sync.Mutex
	carried []Connection
}

func transparent(network, _ string, c syscall.RawConn) (err error) {
	c.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		if network == "tcp4" {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TRANSPARENT, 1)
		} else {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT, 1)
		}
	})
	return os.NewSyscallError("IP_TRANSPARENT", err)
}

func (r *legsRouter) carryAll(all *sync.WaitGroup) {
	for range legsMany {
		down, err := r.ln.Accept()
		if err != nil {
			r.t.Error(err)
			return
		}
		c := Connection{Accepted: time.Now(), Down: ownLeg(down)}
		all.Go(func() { r.carry(down.(*net.TCPConn), c) })
	}
}

// carry passes on what the scripts say, and the reset.
func (r *legsRouter) carry(down *net.TCPConn, c Connection) {
	defer down.Close()
	to := c.Down.Own
	if r.way.mode == rules.Redirect {
		// As SO_ORIGINAL_DST would tell; which of the two ports it was is the client's secret otherwise.
		c.Meant = r.meant(down)
		to = c.Meant
	}
	dialer := net.Dialer{Control: transparent}
	dialer.SetMultipathTCP(false)
	if r.way.source == rules.SourceClient {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(c.Down.Far)
	}
	var conn net.Conn
	if err := r.Router.Do(func() (err error) {
		conn, err = dialer.Dial("tcp", to.String())
		return err
	}); err != nil {
		r.t.Errorf("%v to %v: %v", c.Down.Far, to, err)
		return
	}
	up := conn.(*net.TCPConn)
	defer up.Close()
	c.Up = ownLeg(up)
	for _, leg := range []net.Conn{down, up} {
		leg.SetDeadline(time.Now().Add(patience))
	}
	for _, way := range []struct {
		from, to net.Conn
		n        int64
	}{{down, up, 100}, {up, down, 50}} {
		if _, err := io.CopyN(way.to, way.from, way.n); err != nil {
			r.t.Errorf("%v: %v", c.Down.Far, err)
			return
		}
	}
	dead, live := up, down
	if to.Port() == clientReset {
		dead, live = down, up
	} else if _, err := io.CopyN(up, down, 1); err != nil {
		r.t.Errorf("%v: %v", c.Down.Far, err)
	}
	if _, err := dead.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		r.t.Errorf("%v to %v: got %v, want a reset", c.Down.Far, to, err)
	}
	live.SetLinger(0)
	live.Close()
	c.Ended = time.Now()
	r.mu.Lock()
	r.carried = append(r.carried, c)
	r.mu.Unlock()
}

func (r *legsRouter) meant(down *net.TCPConn) (to netip.AddrPort) {
	raw, err := down.SyscallConn()
	if err != nil {
		r.t.Error(err)
		return to
	}
	raw.Control(func(fd uintptr) {
		var errno kernel.Errno
		if to, errno = kernel.OriginalDst(int(fd), unmapped(down.LocalAddr()).Addr()); errno != 0 {
			r.t.Errorf("SO_ORIGINAL_DST: %v", errno)
		}
	})
	return to
}

// check compares what is told of a connection with what the taps saw.
func (r *legsRouter) check(c *Connection, truth map[tapped]int) {
	seen, coverage := r.watch.Of(c)
	if r.renamed(c, truth) {
		if coverage == evidence.Watched {
			r.t.Errorf("%v: got coverage %q, and the client's packets bear another port", c, coverage)
		}
		return
	}
	if coverage != evidence.Watched {
		r.t.Errorf("%v: got coverage %q", c, coverage)
	}
	resets := map[evidence.Leg]int{}
	told := map[evidence.Leg]int{}
	accounts := map[[2]evidence.Leg]evidence.Stream{}
	for _, o := range seen {
		if s, ok := o.What.(evidence.Stream); ok {
			accounts[[2]evidence.Leg{o.Leg, s.From}] = s // the last one counts
			continue
		}
		p, ok := o.What.(evidence.Packet)
		if !ok {
			continue
		}
		told[o.Leg]++
		ends, device := c.Down, "toclient"
		if o.Leg == evidence.Upstream {
			ends, device = c.Up, "toserver"
		} else if c.Meant.IsValid() {
			ends.Own = c.Meant
		}
		want := tapped{device, p.From == evidence.NoLeg, ends.Far, ends.Own, p.Seq, p.Ack, p.Flags, p.Payload, p.Window, p.TTL, p.ID}
		if want.outgoing {
			want.src, want.dst = ends.Own, ends.Far
		}
		if truth[want] == 0 {
			r.t.Errorf("told of leg %v of %v: %+v, which was not on %s", o.Leg, c, p, device)
		}
		if p.Flags&evidence.RST != 0 {
			resets[p.From]++
		}
	}
	if len(accounts) != 4 {
		r.t.Errorf("%v: got accounts of %d directions, want 4", c, len(accounts))
	}
	for which, s := range accounts {
		r.checkStream(c, which[0], &s, truth)
	}
	by, other := evidence.Upstream, evidence.Downstream
	if port := c.Up.Far.Port(); port == clientReset {
		by, other = other, by
	}
	r.checkWitness(c, by, other)
	if resets[by] != 1 || resets[other] != 0 || resets[evidence.NoLeg] == 0 {
		r.t.Errorf("%v: got resets %v, want one of %v and our own", c, resets, by)
	}
	if told[evidence.Downstream] < 6 || told[evidence.Upstream] < 6 {
		r.t.Errorf("%v: got %v packets, want both legs", c, told)
	}
}

// renamed says that the kernel gave the client another port, as it does where two of a client's connections to different servers
// would look the same once their destination is rewritten.
func (r *legsRouter) renamed(c *Connection, truth map[tapped]int) bool {
	if r.way.mode != rules.Redirect {
		return false
	}
	for p := range truth {
		if p.src == c.Down.Far && p.device == "toclient" {
			return false
		}
	}
	return true
}

// checkStream wants an account to count each packet of its direction, and no other.
func (r *legsRouter) checkStream(c *Connection, leg evidence.Leg, s *evidence.Stream, truth map[tapped]int) {
	ends, device := c.Down, "toclient"
	if leg == evidence.Upstream {
		ends, device = c.Up, "toserver"
	} else if c.Meant.IsValid() {
		ends.Own = c.Meant
	}
	src, dst := ends.Far, ends.Own
	if s.From == evidence.NoLeg {
		src, dst = dst, src
	}
	n := uint64(0)
	for p, count := range truth {
		if p.device == device && p.src == src && p.dst == dst {
			n += uint64(count)
		}
	}
	if s.Packets != n {
		r.t.Errorf("%v: the account of %v to %v is of %d packets, and %d were on %s", c, s.From, s.To, s.Packets, n, device)
	}
}
