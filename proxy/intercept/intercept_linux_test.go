package intercept

import (
	"net"
	"net/netip"
	"syscall"
	"testing"

	"whyreset/proxy/kernel"
)

// listen returns a plain listener on loopback that accepts nothing by itself, but completes handshakes.
func listen(t *testing.T, address string) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("needs %s: %v", address, err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// dial is Way.Dial, and waits for nothing: a handshake on loopback is over when connect returns.
func dial(t *testing.T, way *Way, client, to netip.AddrPort) (int, kernel.Errno) {
	t.Helper()
	fd, errno := way.Dial(client, to, kernel.Options{})
	if fd >= 0 {
		t.Cleanup(func() { kernel.Close(fd) })
	}
	return fd, errno
}

func TestDialAsTheClient(t *testing.T) {
	for _, host := range []string{"127.0.0.1:0", "[::1]:0"} {
		to, other := listen(t, host), listen(t, host)
		free := listen(t, host) // a port to dial from, once nobody listens
		client := free
		for _, source := range []Source{Own, ClientIP} {
			fd, errno := dial(t, &Way{Source: source}, client, to)
			if errno != 0 && errno != syscall.EINPROGRESS {
				t.Fatalf("source %d: %v", source, errno)
			}
			if got := kernel.LocalAddr(fd); got.Addr() != client.Addr() || got.Port() == client.Port() || got.Port() == 0 {
				t.Errorf("source %d: dialled from %v, want %v with another port", source, got, client.Addr())
			}
		}
		way := &Way{Source: Client}
		ln, err := net.Listen("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		client = ln.Addr().(*net.TCPAddr).AddrPort()
		ln.Close()
		for _, to := range []netip.AddrPort{to, other} { // one port, two destinations
			fd, errno := dial(t, way, client, to)
			if errno != 0 && errno != syscall.EINPROGRESS {
				t.Fatalf("to %v: %v", to, errno)
			}
			if got := kernel.LocalAddr(fd); got != client {
				t.Errorf("to %v: dialled from %v, want %v", to, got, client)
			}
		}
		_, errno := dial(t, way, client, to)
		if !way.Conflict(errno) {
			t.Errorf("the same connection again: got %v, want a conflict", errno)
		}
		if own := (&Way{Source: Own}); own.Conflict(errno) {
			t.Errorf("source own: %v is no conflict", errno)
		}
	}
}

func TestNotRedirected(t *testing.T) {
	for _, host := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		ln, err := net.Listen("tcp", host)
		if err != nil {
			t.Skipf("needs %s: %v", host, err)
		}
		defer ln.Close()
		at := ln.Addr().(*net.TCPAddr).AddrPort()
		out, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		in, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		local := in.LocalAddr().(*net.TCPAddr).AddrPort()
		local = netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
		raw, err := in.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		for _, mode := range []Mode{Redirect, TProxy} {
			way := &Way{Mode: mode, Listen: at, Policy: &Policy{Own: true}}
			raw.Control(func(fd uintptr) {
				if to, why := way.Aim(int(fd), local); why != NotRedirected {
					t.Errorf("%s, mode %d: got %v, %q, want %q", host, mode, to, why, NotRedirected)
				}
				if n := testing.AllocsPerRun(100, func() { way.Aim(int(fd), local) }); n != 0 {
					t.Errorf("%s, mode %d: Aim makes %v allocations, want none", host, mode, n)
				}
			})
		}
	}
}

func TestDialDoesNotAllocate(t *testing.T) {
	to := listen(t, "127.0.0.1:0")
	client := netip.MustParseAddrPort("127.0.0.1:9")
	way := &Way{Source: ClientIP}
	if n := testing.AllocsPerRun(100, func() {
		fd, _ := way.Dial(client, to, kernel.Options{})
		kernel.Abort(fd)
	}); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}
