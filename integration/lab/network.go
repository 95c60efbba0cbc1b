package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Options are the knobs of a lab. The zero value is a plain Ethernet.
type Options struct {
	// MTU of all four interfaces, in bytes. If zero, 1500. IPv6 needs at least 1280.
	MTU int
	// Delay is how long a packet is under way between router and server, each way. If zero, as long as a veth pair takes,
	// some microseconds. It is kept by this process, and so will be longer on a busy machine, but never shorter.
	Delay time.Duration
	// Jitter is how much longer it may take, at random, with a Delay. Order is kept.
	Jitter time.Duration
	// Gateway puts a fourth host into the row. If empty there is none.
	Gateway Beside
}

// Beside says next to whom a gateway stands.
type Beside string

const (
	BesideClient Beside = "client" // client, gateway, router, server
	BesideServer Beside = "server" // client, router, gateway, server
)

// Net is three hosts in a row, or four. Any number of them can exist at the same time, all with the same addresses.
//
// Addresses can be used at once: there is no duplicate address detection, and New returns when all links are up. ICMP
// errors are not rate-limited, so that the hundredth refusal looks like the first. All else is as the kernel has it.
type Net struct {
	Client  *Host // one interface, eth0
	Router  *Host // forwards between toclient and toserver
	Server  *Host // one interface, eth0
	Gateway *Host // forwards too, between interfaces of the same names; nil without Options.Gateway

	row   []*Host    // all of them, from the client to the server
	delay *delayLine // nil for none

	closing  sync.Once
	closeErr error
}

// The addresses are fixed: hosts of different labs never meet. Those of client and server, and of their next hops, are
// the same with a gateway and without.
var (
	clientPorts = []port{{name: "eth0", addr4: prefix("10.77.1.2/24"), addr6: prefix("fd77:1::2/64"),
		via4: addr("10.77.1.1"), via6: addr("fd77:1::1")}}
	serverPorts = []port{{name: "eth0", addr4: prefix("10.77.2.2/24"), addr6: prefix("fd77:2::2/64"),
		via4: addr("10.77.2.1"), via6: addr("fd77:2::1")}}
	// Of whoever forwards: without a gateway the first two, the router's.
	besideClient = port{name: "toclient", addr4: prefix("10.77.1.1/24"), addr6: prefix("fd77:1::1/64")}
	besideServer = port{name: "toserver", addr4: prefix("10.77.2.1/24"), addr6: prefix("fd77:2::1/64")}
	// Between router and gateway: the gateway sends by default to the router, and the router to the gateway only what is
	// for the host behind it, so that what is for nobody does not go to and fro.
	routerToServer = port{name: "toserver", addr4: prefix("10.77.3.1/24"), addr6: prefix("fd77:3::1/64"),
		via4: addr("10.77.3.2"), via6: addr("fd77:3::2"), only4: prefix("10.77.2.0/24"), only6: prefix("fd77:2::/64")}
	gatewayToServer = port{name: "toserver", addr4: prefix("10.77.3.1/24"), addr6: prefix("fd77:3::1/64"),
		via4: addr("10.77.3.2"), via6: addr("fd77:3::2")}
	routerToClient = port{name: "toclient", addr4: prefix("10.77.3.2/24"), addr6: prefix("fd77:3::2/64"),
		via4: addr("10.77.3.1"), via6: addr("fd77:3::1"), only4: prefix("10.77.1.0/24"), only6: prefix("fd77:1::/64")}
	gatewayToClient = port{name: "toclient", addr4: prefix("10.77.3.2/24"), addr6: prefix("fd77:3::2/64"),
		via4: addr("10.77.3.1"), via6: addr("fd77:3::1")}
)

// port is an interface of a host as it is meant to be.
type port struct {
	name         string
	addr4, addr6 netip.Prefix
	via4, via6   netip.Addr   // the next hops by this interface; zero: none
	only4, only6 netip.Prefix // what goes by them; zero: whatever else has no route
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

// New makes a lab. If the kernel refuses, the error is an [Unavailable].
func New(o Options) (*Net, error) {
	n := &Net{
		Client: &Host{name: "client", ports: clientPorts},
		Router: &Host{name: "router", ports: []port{besideClient, besideServer}},
		Server: &Host{name: "server", ports: serverPorts},
	}
	n.row = []*Host{n.Client, n.Router, n.Server}
	switch o.Gateway {
	case BesideClient:
		n.Gateway = &Host{name: "gateway", ports: []port{besideClient, gatewayToServer}}
		n.Router.ports[0] = routerToClient
		n.row = []*Host{n.Client, n.Gateway, n.Router, n.Server}
	case BesideServer:
		n.Gateway = &Host{name: "gateway", ports: []port{gatewayToClient, besideServer}}
		n.Router.ports[1] = routerToServer
		n.row = []*Host{n.Client, n.Router, n.Gateway, n.Server}
	}
	if err := n.build(o); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Net) build(o Options) error {
	if o.MTU == 0 {
		o.MTU = 1500
	}
	for _, h := range n.row {
		var err error
		if h.ns, err = newNamespace(); err != nil {
			return err
		}
	}
	if o.Delay > 0 {
		var err error
		if n.delay, err = newDelayLine(o.Delay, o.Jitter); err != nil {
			return err
		}
	}
	if err := wire(n, o); err != nil {
		return fmt.Errorf("building the lab: %w", err)
	}
	return nil
}

// Close removes the hosts and ends the processes that were started in them. A socket that is still open keeps its host's
// namespace in the kernel until it is closed too, but no longer reaches anyone. A second Close does nothing.
func (n *Net) Close() error {
	n.closing.Do(n.remove)
	return n.closeErr
}

func (n *Net) remove() {
	var errs []error
	for _, h := range n.row {
		if h.ns != nil {
			errs = append(errs, h.cutOff())
		}
	}
	// A second round, for with a namespace its interfaces vanish, and those at their other ends.
	for _, h := range n.row {
		if h.ns != nil {
			errs = append(errs, h.ns.close())
		}
	}
	if n.delay != nil {
		errs = append(errs, n.delay.close())
	}
	n.closeErr = errors.Join(errs...)
}
