//go:build !linux

package lab

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"time"
)

var errNotLinux = errors.New("the lab needs Linux")

func enter(run func() int) int { return run() }

// InUserNamespace reports false: other systems have none.
func InUserNamespace() bool { return false }

type namespace struct{}

func newNamespace() (*namespace, error) {
	return nil, &Unavailable{Step: "network namespaces", Err: errNotLinux}
}

func (*namespace) do(func() error) error { return errNotLinux }

func (*namespace) start(*exec.Cmd) error { return errNotLinux }

func (*namespace) close() error { return errNotLinux }

type delayLine struct{}

func newDelayLine(delay, jitter time.Duration) (*delayLine, error) { return nil, errNotLinux }

func (*delayLine) close() error { return errNotLinux }

func wire(*Net, Options) error { return errNotLinux }

// LinkDown answers that the lab needs Linux.
func (*Host) LinkDown(string) error { return errNotLinux }

// LinkUp answers that the lab needs Linux.
func (*Host) LinkUp(string) error { return errNotLinux }

func (*Host) cutOff() error { return errNotLinux }

// Capture is nothing here.
type Capture struct{}

// Capture answers that the lab needs Linux.
func (*Host) Capture(string) (*Capture, error) { return nil, errNotLinux }

// Frames answers that the lab needs Linux.
func (*Capture) Frames() ([]Frame, error) { return nil, errNotLinux }

// Send answers that the lab needs Linux.
func (*Host) Send([]byte) error { return errNotLinux }

// Offload answers that the lab needs Linux.
func (*Host) Offload(bool) error { return errNotLinux }

func vanish(net.Conn) error { return errNotLinux }

// TakeAddress answers that the lab needs Linux.
func (*Host) TakeAddress(netip.Addr) error { return errNotLinux }

// FlushConntrack answers that the lab needs Linux.
func (*Host) FlushConntrack() error { return errNotLinux }

func setUserTimeout(fd, ms int) error { return errNotLinux }

// WaitHandshake answers that the lab needs Linux.
func (*Host) WaitHandshake(context.Context, uint16) error { return errNotLinux }

// Tcpkill answers that the lab needs Linux.
func (*Host) Tcpkill(context.Context, string, uint16) error { return errNotLinux }

// Tap answers that the lab needs Linux.
func (*Host) Tap(string, func([]byte)) (func(), error) { return nil, errNotLinux }

// HardwareAddr answers that the lab needs Linux.
func (*Host) HardwareAddr(string) (net.HardwareAddr, error) { return nil, errNotLinux }

// SetNeighbour answers that the lab needs Linux.
func (*Host) SetNeighbour(string, netip.Addr, net.HardwareAddr) error { return errNotLinux }
