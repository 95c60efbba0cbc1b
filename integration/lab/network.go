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
}

// Net is three hosts in a row. Any number of them can exist at the same time, all with the same addresses.
//
// Addresses can be used at once: there is no duplicate address detection, and New returns when all links are up. ICMP
// errors are not rate-limited, so that the hundredth refusal looks like the first. All else is as the kernel has it.
type Net struct {
	Client *Host // one interface, eth0
	Router *Host // forwards between toclient and toserver
	Server *Host // one interface, eth0

	delay *delayLine // nil for none

	closing  sync.Once
	closeErr error
}

// The addresses are fixed: hosts of different labs never meet.
var (
	clientPorts = []port{{name: "eth0", addr4: prefix("10.77.1.2/24"), addr6: prefix("fd77:1::2/64"),
		via4: addr("10.77.1.1"), via6: addr("fd77:1::1")}}
	serverPorts = []port{{name: "eth0", addr4: prefix("10.77.2.2/24"), addr6: prefix("fd77:2::2/64"),
		via4: addr("10.77.2.1"), via6: addr("fd77:2::1")}}
	routerPorts = []port{
		{name: "toclient", addr4: prefix("10.77.1.1/24"), addr6: prefix("fd77:1::1/64")},
		{name: "toserver", addr4: prefix("10.77.2.1/24"), addr6: prefix("fd77:2::1/64")},
	}
)

// port is an interface of a host as it is meant to be. The via addresses are those of the default routes, zero for none.
type port struct {
	name         string
	addr4, addr6 netip.Prefix
	via4, via6   netip.Addr
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

// New makes a lab. If the kernel refuses, the error is an [Unavailable].
func New(o Options) (*Net, error) {
	n := &Net{
		Client: &Host{name: "client", ports: clientPorts},
		Router: &Host{name: "router", ports: routerPorts},
		Server: &Host{name: "server", ports: serverPorts},
	}
	if err := n.build(o); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Net) hosts() []*Host { return []*Host{n.Client, n.Router, n.Server} }

func (n *Net) build(o Options) error {
	if o.MTU == 0 {
		o.MTU = 1500
	}
	for _, h := range n.hosts() {
		var err error
		if h.ns, err = newNamespace(); err != nil {
			return err
		}
	}
	if o.Delay > 0 {
		var err error
		if n.delay, err = newDelayLine(o.Delay); err != nil {
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
	for _, h := range n.hosts() {
		if h.ns != nil {
			errs = append(errs, h.cutOff())
		}
	}
	// A second round, for with a namespace its interfaces vanish, and those at their other ends.
	for _, h := range n.hosts() {
		if h.ns != nil {
			errs = append(errs, h.ns.close())
		}
	}
	if n.delay != nil {
		errs = append(errs, n.delay.close())
	}
	n.closeErr = errors.Join(errs...)
}
