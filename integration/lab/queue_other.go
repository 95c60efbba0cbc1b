//go:build !linux

package lab

import (
	"context"
	"net"
	"net/netip"
)

// Backlog answers that the lab needs Linux.
func Backlog(net.Listener, int) error { return errNotLinux }

// WaitQueued answers that the lab needs Linux.
func WaitQueued(context.Context, net.Listener, int) error { return errNotLinux }

// Occupy answers that the lab needs Linux.
func Occupy(netip.Addr) (at netip.AddrPort, free func(), err error) { return at, nil, errNotLinux }
