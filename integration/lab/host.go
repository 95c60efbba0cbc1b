package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Host is one host of a [Net]. Its methods may be called from any goroutine.
type Host struct {
	name  string
	ports []port
	ns    *namespace
}

func (h *Host) String() string { return h.name }

// Addr4 is the host's IPv4 address; the router's is the one on the client's side.
func (h *Host) Addr4() netip.Addr { return h.ports[0].addr4.Addr() }

// Addr6 is the host's IPv6 address; the router's is the one on the client's side.
func (h *Host) Addr6() netip.Addr { return h.ports[0].addr6.Addr() }

// Do runs fn in the host: every socket that it makes belongs to the host, for as long as the socket lives. It runs in a
// goroutine of its own that must not be left by other ways than returning (t.FailNow), and goroutines that fn starts are
// not in the host.
func (h *Host) Do(fn func() error) error {
	if err := h.ns.do(fn); err != nil {
		return fmt.Errorf("%s: %w", h.name, err)
	}
	return nil
}

// Listen is net.Listen in the host, for TCP and Unix sockets. It makes plain TCP sockets, not MPTCP ones.
func (h *Host) Listen(network, address string) (ln net.Listener, err error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	err = h.Do(func() error {
		ln, err = config.Listen(context.Background(), network, address)
		return err
	})
	return ln, err
}

// Dial connects from the host. It takes no names, for a look-up would be made outside.
func (h *Host) Dial(ctx context.Context, network string, to netip.AddrPort) (conn net.Conn, err error) {
	var dialer net.Dialer
	dialer.SetMultipathTCP(false)
	err = h.Do(func() error {
		// A single literal address: the dialer makes the socket in this goroutine.
		conn, err = dialer.DialContext(ctx, network, to.String())
		return err
	})
	return conn, err
}

// DialFrom is Dial for TCP, from a certain port.
func (h *Host) DialFrom(ctx context.Context, from, to netip.AddrPort) (conn net.Conn, err error) {
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(from)}
	dialer.SetMultipathTCP(false)
	err = h.Do(func() error {
		conn, err = dialer.DialContext(ctx, "tcp", to.String())
		return err
	})
	return conn, err
}

// Start starts a command in the host; cmd.Wait is to be called as ever. The command is killed when the lab is closed and
// when this process ends, whatever ends it. What it starts itself is not.
func (h *Host) Start(cmd *exec.Cmd) error {
	if err := h.ns.start(cmd); err != nil {
		return fmt.Errorf("%s: %w", h.name, err)
	}
	return nil
}

// Run starts a command in the host, waits for it and returns what it wrote. If it fails, the error holds what it wrote
// to standard error.
func (h *Host) Run(cmd *exec.Cmd) (string, error) {
	var out, complaint strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := h.Start(cmd); err != nil {
		return "", err
	}
	if err := cmd.Wait(); err != nil {
		return out.String(), fmt.Errorf("%s: %s: %w: %s", h.name, filepath.Base(cmd.Path), err, strings.TrimSpace(complaint.String()))
	}
	return out.String(), nil
}

// Sysctl sets a kernel parameter of the host, such as net.ipv4.tcp_abort_on_overflow. Only those below net that every
// network namespace has of its own can be set.
func (h *Host) Sysctl(key, value string) error {
	return h.Do(func() error { return writeSysctl(key, value) })
}

func writeSysctl(key, value string) error {
	// No O_CREATE and no O_TRUNC: a name that does not exist is an error with a name.
	f, err := os.OpenFile("/proc/sys/"+strings.ReplaceAll(key, ".", "/"), os.O_WRONLY, 0)
	if err != nil {
		return unavailable("sysctl "+key, err)
	}
	_, err = f.WriteString(value)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return unavailable("sysctl "+key+"="+value, err)
	}
	return nil
}

// tool finds a program of the administrator's. Ordinary users often have no sbin in their PATH.
func tool(name string) (string, error) {
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err == nil {
			break
		}
		if found, inDir := exec.LookPath(filepath.Join(dir, name)); inDir == nil {
			path, err = found, nil
		}
	}
	return path, err
}
