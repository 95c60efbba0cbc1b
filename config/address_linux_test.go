package config

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
)

// TestOverlapsAsTheKernelDoes binds both addresses of each pair: the second is
// refused by the kernel exactly where we refuse it.
func TestOverlapsAsTheKernelDoes(t *testing.T) {
	for _, test := range []struct{ first, second string }{
		{"127.0.0.1", "127.0.0.1"},
		{"127.0.0.1", "127.0.0.2"},
		{"127.0.0.1", "0.0.0.0"},
		{"0.0.0.0", "127.0.0.1"},
		{"0.0.0.0", "0.0.0.0"},
		{"127.0.0.1", ""},
		{"", "127.0.0.1"},
		{"", ""},
		{"", "[::1]"},
		{"[::1]", "[::1]"},
		{"[::1]", "127.0.0.1"},
		{"[::1]", "0.0.0.0"},
		{"[::1]", "[::]"},
		{"[::]", "[::1]"},
		{"[::]", "127.0.0.1"},
		{"[::]", "0.0.0.0"},
		{"0.0.0.0", "[::]"},
		{"[::ffff:127.0.0.1]", "127.0.0.1"},
	} {
		t.Run(fmt.Sprintf("%q and %q", test.first, test.second), func(t *testing.T) {
			// A port that another program has is no answer; the next one will be free.
			for range 10 {
				got, port, err := bothBind(test.first, test.second)
				if err != nil {
					t.Skipf("this host cannot listen there: %v", err)
				}
				a, _ := parseListen(test.first + ":" + port)
				b, _ := parseListen(test.second + ":" + port)
				if want := !got; a.overlaps(b) == want && b.overlaps(a) == want {
					return
				}
			}
			t.Error("got another answer than that of the kernel, ten times")
		})
	}
}

// bothBind listens on both hosts at one port, and says whether that was possible.
func bothBind(first, second string) (both bool, port string, err error) {
	a, err := net.Listen(network(first), first+":0")
	if err != nil {
		return false, "", err
	}
	defer a.Close()
	_, port, err = net.SplitHostPort(a.Addr().String())
	if err != nil {
		return false, "", err
	}
	b, err := net.Listen(network(second), second+":"+port)
	if errors.Is(err, syscall.EADDRINUSE) {
		return false, port, nil
	}
	if err != nil {
		return false, "", err
	}
	b.Close()
	return true, port, nil
}

// network keeps package net from listening on [::] where 0.0.0.0 is asked for.
func network(host string) string {
	if host == "0.0.0.0" {
		return "tcp4"
	}
	return "tcp"
}
