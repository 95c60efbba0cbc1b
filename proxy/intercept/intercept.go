// Package intercept gets at connections that were meant for others, and dials on as the one who meant them: what a
// listener and a dialling socket need, where an accepted connection was to go, and whether it may go there.
//
//	way := &intercept.Way{Mode: intercept.TProxy, Source: intercept.Client, Mark: 0x57, Listen: at, Policy: policy}
//	err := way.Prepare(listener)
//	…
//	to, refusal := way.Aim(fd, local)
//	if refusal != intercept.Fine {
//		… // reset it, and say refusal.String()
//	}
//	fd, errno := way.Dial(client, to, socketOptions)
//
// Aim and Dial are for the relay's loops: they neither block nor allocate, and may be called by all loops at once.
//
// The packet rules that bring connections here are in package rules. Names are looked up and fixed upstreams are chosen
// elsewhere: mode forward has no aim of its own here, it only shares the way of dialling.
package intercept

import (
	"net/netip"
	"syscall"

	"whyreset/proxy/kernel"
)

// Mode is how connections come.
type Mode uint8

const (
	Forward  Mode = iota // straight to the listener
	Redirect             // destination rewritten by the kernel, which remembers it
	TProxy               // nothing rewritten
)

// Source is as whom to dial on.
type Source uint8

const (
	Own      Source = iota // address and port of the kernel's choice
	ClientIP               // the client's address
	Client                 // the client's address and port
)

// OnConflict is what becomes of a client that comes back from a port that, with source client, is still in use here
// towards the same destination. With all but OtherPort the port has a moment to become free.
type OnConflict uint8

const (
	AbortOld  OnConflict = iota // its old connection is aborted; another port where that does not free it
	OtherPort                   // another port of the client's address, at once
	Refuse                      // the new connection is refused
)

// Way is how the connections of one listener are carried. It must not change once it is in use.
type Way struct {
	Mode       Mode
	Source     Source
	Mark       uint32         // SO_MARK of dialling sockets; zero: none
	Listen     netip.AddrPort // the listener's address, with its real port
	OnConflict OnConflict     // zero: AbortOld
	Policy     *Policy        // of destinations; nil: all but what Aim refuses by itself
}

// Prepare gives a listener what its mode needs. To be called before it listens or soon after.
func (w *Way) Prepare(listener int) error {
	if w.Mode == TProxy {
		return kernel.SetTransparent(listener, w.Listen.Addr())
	}
	return nil
}

// Ours says whether a connection accepted from peer that has the addresses and ports of an upstream leg is that leg, come
// back. For an address of this host it is: the kernel keeps one such. What we dial as somebody else proves nothing, for that
// host may have the same address and port in use, and has with source client.
func (w *Way) Ours(peer netip.Addr) bool { return w.Source == Own || w.Policy.own(peer) }

// Local says whether a is known to be an address of this host.
func (w *Way) Local(a netip.Addr) bool { return w.Policy.own(a) }

// Dial starts to connect to a destination on behalf of a client, as kernel.DialAs does.
func (w *Way) Dial(client, to netip.AddrPort, opt kernel.Options) (fd int, errno kernel.Errno) {
	return w.dial(w.Source, client, to, opt)
}

// DialOtherPort is Dial with source client-ip, for when there is a Conflict.
func (w *Way) DialOtherPort(client, to netip.AddrPort, opt kernel.Options) (fd int, errno kernel.Errno) {
	return w.dial(ClientIP, client, to, opt)
}

func (w *Way) dial(source Source, client, to netip.AddrPort, opt kernel.Options) (fd int, errno kernel.Errno) {
	as := kernel.Origin{Mark: w.Mark}
	switch source {
	case ClientIP:
		as.From, as.Transparent = netip.AddrPortFrom(client.Addr(), 0), true
	case Client:
		as.From, as.Transparent = client, true
	}
	return kernel.DialAs(to, as, opt)
}

// Conflict says whether Dial failed because the addresses and ports are taken: with source client, by the upstream leg of
// an earlier connection that the client has ended already and we have not. Ending that one, or
// DialOtherPort, helps.
func (w *Way) Conflict(errno kernel.Errno) bool {
	return w.Source == Client && (errno == syscall.EADDRINUSE || errno == syscall.EADDRNOTAVAIL)
}

// PortForbidden says whether Dial, having left no socket, failed because the client's port is below 1024
// (net.ipv4.ip_unprivileged_port_start) and this process has no CAP_NET_BIND_SERVICE. DialOtherPort helps.
func (w *Way) PortForbidden(errno kernel.Errno) bool {
	return w.Source == Client && errno == syscall.EACCES
}

// Forbidden says whether Dial, having left no socket, failed for want of a right: EPERM to the mark or to the client's
// address, EACCES to its port.
func (w *Way) Forbidden(errno kernel.Errno) bool {
	return (w.Source != Own || w.Mark != 0) && (errno == syscall.EPERM || errno == syscall.EACCES)
}

// Aim is where an accepted connection was meant to go, given the address it was accepted on.
func (w *Way) Aim(fd int, local netip.AddrPort) (to netip.AddrPort, why Refusal) {
	switch w.Mode {
	case Redirect:
		to, why = redirected(fd, local)
	case TProxy:
		to, why = w.handedOver(local)
	default:
		return local, Fine
	}
	if why == Fine && w.Policy != nil {
		why = w.Policy.refuses(to.Addr())
	}
	return to, why
}
