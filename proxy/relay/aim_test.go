package relay

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"whyreset/diagnose/evidence"
	"whyreset/proxy/intercept"
	"whyreset/proxy/kernel"
)

// prepareWay is a relay of one loop with that way. A way of mode tproxy has already seen the kernel hand over all that comes,
// as it does when the rules are in place: its destination is then the address it came to.
func prepareWay(t *testing.T, way intercept.Way, handedOver bool) *live {
	t.Helper()
	l := prepare(t, Options{Loops: 1})
	wayOf := &l.loops[0].listeners[0].Way
	*wayOf = way
	if wayOf.Listen = l.address; handedOver {
		wayOf.Listen = netip.AddrPortFrom(l.address.Addr(), 1)
	}
	l.loops[0].listeners[0].asked = true
	return l
}

func TestAim(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		way        intercept.Way
		handedOver bool
		want       string
		known      bool // the destination
	}{
		{"redirect, but not redirected", intercept.Way{Mode: intercept.Redirect}, false, "d:connected !not-redirected !d:passed-reset", false},
		{"tproxy, but not handed over", intercept.Way{Mode: intercept.TProxy}, false, "d:connected !not-redirected !d:passed-reset", false},
		{"this host's own", intercept.Way{Mode: intercept.TProxy, Policy: &intercept.Policy{}}, true, "d:connected !guarded !d:passed-reset", true},
		{"denied", intercept.Way{Mode: intercept.TProxy, Policy: &intercept.Policy{Own: true, Deny: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}, true,
			"d:connected !denied !d:passed-reset", true},
		{"not allowed", intercept.Way{Mode: intercept.TProxy, Policy: &intercept.Policy{Own: true, Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}, true,
			"d:connected !denied !d:passed-reset", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := prepareWay(t, test.way, test.handedOver)
			l.Start()
			wantRefused(t, l.address)
			e := l.wantStory(test.want)
			want := netip.AddrPort{}
			if test.known {
				want = l.address
			}
			if e.Upstream.Remote != want || e.Upstream.Local.IsValid() {
				t.Errorf("upstream leg: got %v, want none, to %v", e.Upstream, want)
			}
		})
	}
}

// A transparent listener whose own connections come back refuses them by the address that was meant, whichever address they
// come to.
func TestTransparentLoopRefused(t *testing.T) {
	t.Parallel()
	for _, source := range []intercept.Source{intercept.Own, intercept.ClientIP} {
		l := prepareWay(t, intercept.Way{Mode: intercept.TProxy, Source: source, Policy: &intercept.Policy{Own: true}}, true)
		l.Start()
		wantRefused(t, l.address)
		e := l.next()
		if got := story(e.Evidence()); !strings.HasSuffix(got, " !looped !d:passed-reset") {
			t.Errorf("source %d: got %s", source, got)
		}
		if e.Downstream.Remote.Port() == e.Upstream.Local.Port() || l.Active() > 0 {
			t.Errorf("source %d: the record is not that of the client: %v", source, e.Downstream)
		}
	}
}

// The address and port of an upstream leg prove a loop only where nobody else can have them.
func TestWhoseAddressesProveALoop(t *testing.T) {
	t.Parallel()
	other := netip.MustParseAddr("192.0.2.1")
	for _, test := range []struct {
		source intercept.Source
		peer   netip.Addr
		want   bool
	}{
		{intercept.Own, other, true},
		{intercept.Client, other, false},
		{intercept.ClientIP, other, false},
		{intercept.Client, netip.MustParseAddr("127.0.0.1"), true},
	} {
		if got := (&intercept.Way{Source: test.source}).Ours(test.peer); got != test.want {
			t.Errorf("source %d, peer %v: got %v, want %v", test.source, test.peer, got, test.want)
		}
	}
}

// A port of the client's that is in use here, as by the leg of its earlier connection that is still being flushed, does not
// keep it out: another one is taken. Here it is the client's own socket that has it.
func TestConflict(t *testing.T) {
	t.Parallel()
	s := step(t, Options{})
	s.loop.listeners[0].Way = intercept.Way{Source: intercept.Client} // aims at the target as mode forward does
	client := dial(t, s.address)
	from := client.LocalAddr().(*net.TCPAddr).AddrPort()
	s.until("a pair", func() bool { return s.relay.Active() == 1 && s.loop.pairs[0].stage == open })
	server := accept(t, s.server)
	got := server.RemoteAddr().(*net.TCPAddr).AddrPort()
	if got == from || got.Addr() != from.Addr() {
		t.Errorf("dialled from %v, want %v with another port", got, from.Addr())
	}
	if told := s.loop.pairs[0].legs[up].local; told != got {
		t.Errorf("the record would tell %v, want %v", told, got)
	}
	write(t, client, "hello")
	s.until("bytes to come through", func() bool { return s.loop.pairs[0].legs[up].out == 5 })
	wantRead(t, server, "hello")
}

// A missing right is told as one, and not as a firewall's answer.
func TestNotPermitted(t *testing.T) {
	t.Parallel()
	if kernel.MayMark(1) == 0 {
		t.Skip("needs a process without CAP_NET_ADMIN and CAP_NET_RAW")
	}
	l := prepare(t, Options{Loops: 1}, echo(t))
	l.loops[0].listeners[0].Way.Mark = 1
	l.Start()
	wantRefused(t, l.address)
	l.wantStory("d:connected !not-permitted !d:passed-reset")
}

// The way from accept to dial allocates nothing.
func TestAimDoesNotAllocate(t *testing.T) {
	s := step(t, Options{})
	ln := s.loop.listeners[0]
	ln.Way = intercept.Way{Mode: intercept.TProxy, Listen: netip.AddrPortFrom(s.address.Addr(), 1), Policy: &intercept.Policy{Own: true}}
	p := &pair{listener: ln}
	p.legs[down].local = s.address
	if n := testing.AllocsPerRun(100, func() {
		if why := p.aim(); why != evidence.NoAction || len(p.addresses) != 1 || p.addresses[0] != s.address {
			t.Errorf("got %v and %v, want %v", why, p.addresses, s.address)
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}
