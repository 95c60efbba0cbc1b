package integration

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"whyreset/diagnose"
	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
	"whyreset/integration/scenario"
)

// guest is a host beside the lab's server with a TCP stack that is not Linux's: gVisor's. Its packets come and go by the server's
// interface.
type guest struct {
	stack *stack.Stack
	wire  *channel.Endpoint
	host  *lab.Host
	stop  func()
	addr  netip.Addr
}

const guestPort = 80

// newGuest starts one with an address that nobody has.
func newGuest(n *lab.Net, v6 bool) (*guest, error) {
	g := &guest{host: n.Server, wire: channel.New(256, 1500, ""), addr: netip.MustParseAddr("10.77.2.3")}
	if v6 {
		g.addr = netip.MustParseAddr("fd77:2::3")
	}
	g.boot()
	mac, err := n.Server.HardwareAddr("eth0")
	if err == nil {
		err = n.Router.SetNeighbour("toserver", g.addr, mac)
	}
	if err != nil {
		return nil, err
	}
	const ethernet = 14
	untap, err := n.Server.Tap("eth0", func(frame []byte) {
		if len(frame) < ethernet+40 {
			return
		}
		packet, protocol, to := frame[ethernet:], ipv4.ProtocolNumber, netip.Addr{}
		switch packet[0] >> 4 {
		case 4:
			to = netip.AddrFrom4([4]byte(packet[16:20]))
		case 6:
			protocol, to = ipv6.ProtocolNumber, netip.AddrFrom16([16]byte(packet[24:40]))
		}
		if to == g.addr {
			p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(packet)})
			g.wire.InjectInbound(protocol, p)
			p.DecRef()
		}
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go g.send(ctx, done)
	g.stop = func() {
		untap()
		cancel()
		<-done
		g.stack.Destroy()
	}
	return g, nil
}

// boot makes the stack, which knows of no connection.
func (g *guest) boot() {
	g.stack = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
	})
	// A veth pair leaves checksums to hardware that there is not.
	g.wire.LinkEPCapabilities = stack.CapabilityRXChecksumOffload
	const nic = 1
	g.stack.CreateNIC(nic, g.wire)
	a := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddrFromSlice(g.addr.AsSlice()).WithPrefix()}
	if g.addr.Is6() {
		a.Protocol = ipv6.ProtocolNumber
	}
	g.stack.AddProtocolAddress(nic, a, stack.AddressProperties{})
	g.stack.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}, {Destination: header.IPv6EmptySubnet, NIC: nic}})
}

func (g *guest) send(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	for {
		p := g.wire.ReadContext(ctx)
		if p == nil {
			return
		}
		view := p.ToView()
		g.host.Send(view.AsSlice()) // what cannot be sent is lost, as on any wire
		view.Release()
		p.DecRef()
	}
}

// accept listens and returns the first connection.
func (g *guest) accept(ctx context.Context, listening chan<- struct{}) (tcpip.Endpoint, error) {
	var queue waiter.Queue
	protocol := ipv4.ProtocolNumber
	if g.addr.Is6() {
		protocol = ipv6.ProtocolNumber
	}
	ln, fault := g.stack.NewEndpoint(tcp.ProtocolNumber, protocol, &queue)
	if fault == nil {
		fault = ln.Bind(tcpip.FullAddress{Port: guestPort})
	}
	if fault == nil {
		fault = ln.Listen(1)
	}
	close(listening)
	if fault != nil {
		return nil, errors.New(fault.String())
	}
	for {
		conn, _, fault := ln.Accept(nil)
		if fault == nil {
			return conn, nil
		}
		if err := pause(ctx, fault); err != nil {
			return nil, err
		}
	}
}

// pause waits a little if the stack would have its caller wait.
func pause(ctx context.Context, fault tcpip.Error) error {
	if _, wait := fault.(*tcpip.ErrWouldBlock); !wait {
		return errors.New(fault.String())
	}
	select {
	case <-time.After(time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read reads n bytes.
func (g *guest) read(ctx context.Context, conn tcpip.Endpoint, n int) error {
	for n > 0 {
		buf := tcpip.SliceWriter(make([]byte, n))
		got, fault := conn.Read(&buf, tcpip.ReadOptions{})
		if fault != nil {
			if err := pause(ctx, fault); err != nil {
				return err
			}
			continue
		}
		n -= got.Count
	}
	return nil
}

// answer writes n bytes of the pattern that clients expect.
func (g *guest) answer(conn tcpip.Endpoint, n int) error {
	b := make([]byte, n)
	lab.Pattern(0).Fill(b, 0)
	if _, fault := conn.Write(bytes.NewReader(b), tcpip.WriteOptions{}); fault != nil {
		return errors.New(fault.String())
	}
	return nil
}

// guestScenario is one in which the server is a guest. serve plays its part on the one connection; nil: nobody listens.
func guestScenario(id, cause, story string, serve func(context.Context, *guest, tcpip.Endpoint) error, client ...lab.Step) scenario.Scenario {
	return scenario.Scenario{
		ID: id, Cause: cause, Side: diagnose.SideUpstream, Story: story, Needs: []lab.Feature{lab.Netns}, Forward: true, Shown: []evidence.Source{evidence.Packets},
		Run: func(ctx context.Context, e *scenario.Env) (scenario.Outcome, error) {
			g, err := newGuest(e.Net, e.Place.IPv6)
			if err != nil {
				return scenario.Outcome{}, err
			}
			defer g.stop()
			served := make(chan error, 1)
			if serve == nil {
				served <- nil
			} else {
				listening := make(chan struct{})
				go func() {
					conn, err := g.accept(ctx, listening)
					if err == nil {
						err = serve(ctx, g, conn)
					}
					served <- err
				}()
				<-listening
			}
			to, err := e.Through(netip.AddrPortFrom(g.addr, guestPort))
			if err != nil {
				return scenario.Outcome{}, err
			}
			out := e.Client(ctx, to, client...)
			return out, <-served
		},
	}
}

// Resets of another stack bear marks that Linux does not write, and are no forgeries.
func init() {
	request := []lab.Step{lab.Write(100), lab.ReadAll()}
	more = append(more,
		guestScenario("gvisor-aborts", "app_abort", "A server with gVisor's stack reads the request and aborts.",
			func(ctx context.Context, g *guest, conn tcpip.Endpoint) error {
				err := g.read(ctx, conn, 100)
				conn.Abort()
				return err
			}, request...),
		guestScenario("gvisor-aborts-answering", "app_abort", "A server with gVisor's stack aborts behind half an answer.",
			func(ctx context.Context, g *guest, conn tcpip.Endpoint) error {
				err := errors.Join(g.read(ctx, conn, 100), g.answer(conn, 100), g.read(ctx, conn, 1))
				conn.Abort()
				return err
			}, lab.Write(100), lab.Read(100), lab.Write(1), lab.ReadAll()),
		guestScenario("gvisor-closes-unread", "app_close_unread", "A server with gVisor's stack closes with half of the request unread.",
			func(ctx context.Context, g *guest, conn tcpip.Endpoint) error {
				err := g.read(ctx, conn, 50)
				conn.Close()
				return err
			}, request...),
		guestScenario("gvisor-closed-port", "port_closed", "Nobody listens on a host with gVisor's stack.", nil, request...),
	)
}
