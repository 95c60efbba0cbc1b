//go:build !linux

package lab

import (
	"context"
	"net"
)

// Backlog answers that the lab needs Linux.
func Backlog(net.Listener, int) error { return errNotLinux }

// WaitQueued answers that the lab needs Linux.
func WaitQueued(context.Context, net.Listener, int) error { return errNotLinux }
