package kernel

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What is set on a listener holds for what it accepts, and Dial sets the same.
func TestOptionsOnBothLegs(t *testing.T) {
	type values map[[2]int]int
	plain := values{
		{unix.SOL_SOCKET, unix.SO_OOBINLINE}: 1, {unix.SOL_SOCKET, unix.SO_KEEPALIVE}: 0,
		{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT}: 0,
	}
	for _, test := range []struct {
		name string
		opt  Options
		want values
	}{
		{"none", Options{}, plain},
		{"keepalive", Options{KeepAlive: 7}, values{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE}: 1, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}: 7, {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL}: 7,
			{unix.IPPROTO_TCP, unix.TCP_KEEPCNT}: 3, {unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT}: 0}},
		{"user timeout", Options{UserTimeout: 1234}, values{
			{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT}: 1234, {unix.SOL_SOCKET, unix.SO_KEEPALIVE}: 0}},
	} {
		for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
			t.Run(test.name+" "+at, func(t *testing.T) {
				ln, err := Listen(netip.MustParseAddrPort(at), true, test.opt)
				if err == unix.EADDRNOTAVAIL || err == unix.EAFNOSUPPORT {
					t.Skip("no IPv6 on this machine")
				} else if err != nil {
					t.Fatal(err)
				}
				defer Close(ln)
				up, errno := Dial(LocalAddr(ln), test.opt)
				if errno != 0 && errno != unix.EINPROGRESS {
					t.Fatal(errno)
				}
				defer Close(up)
				down := acceptOne(t, ln)
				defer Close(down)
				for leg, fd := range map[string]int{"downstream": down, "upstream": up} {
					for option, want := range test.want {
						if got, err := unix.GetsockoptInt(fd, option[0], option[1]); err != nil || (got != 0) != (want != 0) || want > 1 && got != want {
							t.Errorf("%s: option %v: got %d, %v, want %d", leg, option, got, err, want)
						}
					}
				}
				if got, _ := unix.GetsockoptInt(down, unix.IPPROTO_TCP, unix.TCP_NODELAY); got == 0 {
					t.Error("downstream: TCP_NODELAY is not inherited")
				}
			})
		}
	}
}

func acceptOne(t *testing.T, ln int) int {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if fd, _, errno := Accept(ln); errno == 0 {
			return fd
		}
	}
	t.Fatal("in vain: waited for a connection")
	return -1
}
