package relay

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"whyreset/diagnose/evidence"
)

func TestNextAddress(t *testing.T) {
	t.Parallel()
	const limit = 100 * time.Millisecond
	working, dead, mute := echo(t), refused(t), silent(t)
	repeat := func(n int, what string) string { return strings.TrimSpace(strings.Repeat(what+" ", n)) }
	many := make([]netip.AddrPort, 300)
	for i := range many {
		many[i] = dead
	}
	const then = " u:connected d:data u:data d:fin !u:passed-fin u:fin !d:closed !u:closed"
	for _, test := range []struct {
		name      string
		addresses []netip.AddrPort
		want      string
		least     time.Duration
	}{
		{"first works", []netip.AddrPort{working, dead}, "d:connected" + then, 0},
		{"second works", []netip.AddrPort{dead, working}, "d:connected u:ECONNREFUSED" + then, 0},
		{"after silence", []netip.AddrPort{mute, mute, working}, "d:connected !u:connect-timeout !u:connect-timeout" + then, 2 * limit},
		// However many failed, how it ended is told.
		{"last of many works", append(many[:len(many):len(many)], working), "d:connected " + repeat(maxFailures, "u:ECONNREFUSED") + then, 0},
		{"none listens", []netip.AddrPort{dead, dead}, "d:connected u:ECONNREFUSED u:ECONNREFUSED !d:passed-reset", 0},
		{"none of many", many, "d:connected " + repeat(maxFailures+1, "u:ECONNREFUSED") + " !d:passed-reset", 0},
		{"none answers", []netip.AddrPort{mute, mute}, "d:connected !u:connect-timeout !u:connect-timeout !d:passed-reset", 2 * limit},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := start(t, Options{Timeouts: Timeouts{Connect: limit}}, test.addresses...)
			if strings.HasSuffix(test.want, "reset") {
				wantRefused(t, l.address)
			} else {
				c := dial(t, l.address)
				eventually(t, "the server", func() bool { return l.Active() == 1 })
				write(t, c, "hello")
				wantRead(t, c, "hello")
				c.Close()
			}
			e := l.next()
			if got := inShort(e); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if e.Duration < test.least {
				t.Errorf("took %v, want %v at least", e.Duration, test.least)
			}
			if last := test.addresses[len(test.addresses)-1]; test.name != "first works" && e.Upstream.Remote != last {
				t.Errorf("upstream: got %v, want %v", e.Upstream.Remote, last)
			}
			select {
			case <-l.target.Failed():
			default:
				if test.name != "first works" {
					t.Error("nobody was told to resolve again")
				}
			}
		})
	}
}

// A client that resets while its server does not answer ends the dial at once.
func TestClientResetWhileConnecting(t *testing.T) {
	t.Parallel()
	l := start(t, Options{}, silent(t))
	c := dial(t, l.address)
	write(t, c, "request")
	time.Sleep(50 * time.Millisecond) // into the silence
	reset(t, c)
	e := l.wantStory("d:connected d:data d:ECONNRESET")
	if e.Evidence().Server != e.Upstream.Remote || e.Duration > 10*time.Second {
		t.Errorf("got %+v", e)
	}
	ev := e.Evidence()
	for _, o := range ev.Observations {
		if tr, ok := o.What.(evidence.Transfer); ok && o.Leg == evidence.Downstream && tr.In != 7 && o.At < e.Duration {
			t.Errorf("account at the end: got %+v, want 7 bytes in", tr)
		}
	}
}

// One that has only ended its own direction still gets its answer.
func TestClientFINWhileConnecting(t *testing.T) {
	t.Parallel()
	l := start(t, Options{Timeouts: Timeouts{Connect: 200 * time.Millisecond}}, silent(t), echo(t))
	c := dial(t, l.address)
	write(t, c, "request")
	c.CloseWrite()
	wantEnd(t, c, "request", nil)
	l.wantStory("d:connected d:data d:fin !u:connect-timeout u:connected !u:passed-fin u:data u:fin !d:closed !u:closed")
}
