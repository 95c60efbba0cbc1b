package relay

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
)

const (
	carried = "d:connected u:connected u:data d:fin !u:passed-fin u:fin !d:closed !u:closed"
	limited = "d:connected !limit !d:passed-reset"
)

// dialFrom dials from one of the many addresses of loopback.
func dialFrom(source string, l *live) (*net.TCPConn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: 20 * time.Second}
	conn, err := d.DialContext(context.Background(), "tcp", l.address.String())
	if err != nil {
		return nil, err
	}
	return bounded(l.t, conn), nil
}

// wantLimited dials what is reset at once, which the dialler may already see in its connect.
func wantLimited(t *testing.T, source string, l *live) {
	t.Helper()
	if conn, err := dialFrom(source, l); err == nil {
		wantEnd(t, conn, "", syscall.ECONNRESET)
	} else if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got %v, want ECONNRESET", err)
	}
	l.wantStory(limited)
}

// Beyond a limit a connection is reset at once and is told as ours; when one of those carried ends there is room again.
func TestLimits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		limits Limits
		other  bool // whether a client of another address is carried when the first one has all it may have
	}{
		{"connections", Limits{Connections: 2}, false},
		{"per source", Limits{PerSource: 2}, true},
		{"both", Limits{Connections: 3, PerSource: 2}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ln := listen(t)
			l := start(t, Options{Limits: test.limits}, address(ln))
			open := func(source string) (client, server *net.TCPConn) {
				t.Helper()
				client, err := dialFrom(source, l)
				if err != nil {
					t.Fatal(err)
				}
				server = accept(t, ln)
				write(t, server, ".")
				wantRead(t, client, ".")
				return client, server
			}
			end := func(client, server *net.TCPConn) {
				t.Helper()
				client.Close()
				wantEnd(t, server, "", nil)
				server.Close()
				if got := inShort(l.next()); got != carried {
					t.Errorf("got  %s\nwant %s", got, carried)
				}
			}
			first, firstServer := open("127.0.0.1")
			second, secondServer := open("127.0.0.1")
			wantLimited(t, "127.0.0.1", l)
			if test.other {
				end(open("127.0.0.2"))
			} else {
				wantLimited(t, "127.0.0.2", l)
			}
			end(first, firstServer)
			first, firstServer = open("127.0.0.1")
			wantLimited(t, "127.0.0.1", l)

			l.SetLimits(Limits{}) // takes effect at once, and those counted before still leave the count
			end(open("127.0.0.1"))
			end(first, firstServer)
			end(second, secondServer)
			l.limits.mu.Lock()
			defer l.limits.mu.Unlock()
			if n := len(l.limits.sources); n != 0 {
				t.Errorf("%d sources are still counted", n)
			}
		})
	}
}
