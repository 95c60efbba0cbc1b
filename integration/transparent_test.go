package integration

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"whyreset/config"
	"whyreset/diagnose"
	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
	"whyreset/proxy/rules"
)

var connectionsFlag = flag.Int("connections", 250, "how many connections TestTransparent carries by each way and IP version; a fifth under the race detector")

// connections is how many are carried by each way and IP version.
func connections() int {
	if underRaceDetector() {
		return *connectionsFlag / 5
	}
	return *connectionsFlag
}

func TestTransparent(t *testing.T) {
	t.Parallel()
	for _, at := range stands {
		for _, way := range rules.Triples {
			if way.Placement != at.placement || way.Reason != "" {
				continue
			}
			t.Run(fmt.Sprintf("%s %s, source %s", at.name, way.Mode, way.Source), func(t *testing.T) {
				t.Parallel()
				tryPlaced(t, at, way.Mode, way.Source)
			})
		}
	}
}

func tryPlaced(t *testing.T, at stand, mode rules.Mode, source rules.Source) {
	r := startPlaced(t, at, mode, source, config.Listener{Deny: "10.77.2.99, fd77:2::99"})
	r.apply()
	if source == rules.SourceClientIP && (at.near || mode == rules.Redirect) { // as the plan's note says, apart from the ports of clients
		if err := r.host().Sysctl("net.ipv4.ip_local_port_range", "10000 19999"); err != nil {
			t.Fatal(err)
		}
	}
	const size = 20_000
	whole := r.serve(80, lab.ReadAll(), lab.Write(size))
	resets := r.serve(81, lab.Read(100), lab.Reset())
	isReset := r.serve(82, lab.Read(100), lab.Write(100), lab.ReadAll())
	if err := r.Server.NFT("table inet lab { chain i { type filter hook input priority 0; tcp dport 84 reject with icmpx type admin-prohibited; }; }"); err != nil {
		t.Fatal(err)
	}
	if err := r.Router.NFT("table inet lab { chain f { type filter hook forward priority 0; tcp dport 85 reject with icmpx type admin-prohibited; }; }"); err != nil {
		t.Fatal(err)
	}
	var told []func() // records of harmful ends, for which a verdict waits a while, are looked at in the end
	for i, version := range []int{4, 6} {
		told = append(told,
			r.oneReset(resets, r.server(version, 81), diagnose.SideUpstream, lab.Write(100), lab.ReadAll()),
			r.oneReset(isReset, r.server(version, 82), diagnose.SideDownstream, lab.Write(100), lab.Read(100), lab.Reset()),
			r.nobodyThere(r.server(version, 83), "port_closed", netip.Addr{}))
		if !at.near { // else the rules would meet the client's packets, and there is no box between
			told = append(told,
				r.nobodyThere(r.server(version, 84), "icmp_reject", r.server(version, 84).Addr()),
				r.nobodyThere(r.server(version, 85), "icmp_reject", []netip.Addr{r.Router.Addr4(), r.Router.Addr6()}[i]))
		}
		r.manyWhole(whole, r.server(version, 80), connections(), size)
	}
	if at.placement == rules.Router {
		told = append(told, r.refusals()...)
	}
	for _, look := range told {
		look()
	}
}

// atATime is how many connections are open together.
const atATime = 50

// manyWhole carries connections each of which must arrive whole both ways.
func (r *placed) manyWhole(peer *lab.Peer, to netip.AddrPort, n int, size int64) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	clients := make([]lab.Outcome, n)
	next := make(chan int)
	began := time.Now()
	var all sync.WaitGroup
	for range atATime {
		all.Go(func() {
			for i := range next {
				var err error
				if clients[i], err = r.run(ctx, to, lab.Write(size), lab.CloseWrite(), lab.ReadAll()); err != nil {
					r.t.Error(err)
				}
			}
		})
	}
	for i := range clients {
		next <- i
	}
	close(next)
	all.Wait()
	if r.t.Failed() {
		r.t.FailNow() // who could not connect is waited for in vain
	}
	r.t.Logf("to %v: %d connections, %d bytes each way, whole, in %v", to.Addr(), n, size, time.Since(began).Round(time.Millisecond))
	// A port may be used twice.
	came, seen := map[netip.AddrPort]int{}, map[netip.AddrPort]int{}
	for _, out := range clients {
		came[out.Local]++
		r.wantWhole(out, to, size)
	}
	for range clients {
		out, err := peer.Next(ctx)
		if err != nil {
			r.t.Fatal(err)
		}
		r.wantWhole(out, to, size)
		if out.Local != to {
			r.t.Errorf("the server was reached at %v, want %v", out.Local, to)
		}
		seen[out.Remote]++
	}
	for range clients {
		c := r.recordTo(to)
		client, server := c.Downstream.Remote, c.Upstream.Local
		if seen[server]--; seen[server] < 0 {
			r.t.Errorf("the record has %v to %v, which the server did not see", server, c.Upstream.Remote)
		}
		if came[client]--; r.mode == rules.TProxy && came[client] < 0 {
			r.t.Errorf("the record has client %v, which there is not", client)
		}
		r.wantEnds(c, to, client, server)
		if v := c.Verdict; v.Cause != "clean_close" || c.Target != "" || c.Listener != "all" {
			r.t.Errorf("got %s, target %q, listener %q, want clean_close without a target: %s", v.Cause, c.Target, c.Listener, v.Sentence)
		}
	}
}

func (r *placed) wantWhole(out lab.Outcome, to netip.AddrPort, size int64) {
	r.t.Helper()
	if out.Read != size || out.Written != size || out.Damage != nil || out.End != lab.EndEOF {
		r.t.Errorf("to %v: %v, want %d whole bytes each way and a FIN", to, out, size)
	}
}

// oneReset has one end of a connection reset it. The record is for later.
func (r *placed) oneReset(peer *lab.Peer, to netip.AddrPort, by diagnose.Side, steps ...lab.Step) func() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client, err := r.run(ctx, to, steps...)
	if err != nil {
		r.t.Fatal(err)
	}
	server, err := peer.Next(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	told := client
	if by == diagnose.SideDownstream {
		told = server
	}
	if told.End != lab.EndReset {
		r.t.Errorf("to %v: the other end has %v, want a reset", to, told)
	}
	return func() {
		c := r.recordTo(to)
		r.wantEnds(c, to, client.Local, server.Remote)
		// The first connection to a port may have begun before the watch knew of the port; this is a later one.
		if got := c.Evidence.Coverage.Packets; to.Addr().Is6() && got != evidence.Watched {
			r.t.Errorf("to %v: got packets %q, want them watched", to, got)
		}
		if v := c.Verdict; v.Side != by || v.Action != diagnose.Reset {
			r.t.Errorf("to %v: got %s on side %s, want a reset on side %s: %s", to, v.Action, v.Side, by, v.Sentence)
		}
	}
}

// nobodyThere connects to a port on which nobody listens, or that a box, which the record must name, rejects. The record is
// for later.
func (r *placed) nobodyThere(to netip.AddrPort, cause string, box netip.Addr) func() {
	r.t.Helper()
	r.dialInVain(to)
	return func() {
		c := r.recordTo(to)
		if box.IsValid() && !(strings.Contains(c.Verdict.Sentence, box.String()) && slices.ContainsFunc(c.Evidence.Observations, func(o evidence.Observation) bool {
			icmp, ok := o.What.(evidence.ICMP)
			return ok && icmp.From == box && o.Leg == evidence.Upstream
		})) {
			r.t.Errorf("to %v: want an ICMP error from %v: %s: %+v", to, box, c.Verdict.Sentence, c.Evidence.Observations)
		}
		if v := c.Verdict; v.Cause != cause || v.Side != diagnose.SideUpstream {
			r.t.Errorf("to %v: got %s on side %s, want %s: %s", to, v.Cause, v.Side, cause, v.Sentence)
		}
	}
}

// dialInVain connects to what must not answer. The proxy's reset may come as soon as its handshake.
func (r *placed) dialInVain(to netip.AddrPort) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if out, err := r.run(ctx, to, lab.ReadAll()); err == nil && out.End != lab.EndReset {
		r.t.Errorf("to %v: got %v, want a reset", to, out)
	}
}

// refusals are what must not be carried, and why the record says so.
func (r *placed) refusals() (told []func()) {
	r.t.Helper()
	for text, words := range map[string]string{
		"10.77.2.99:80":     "may not go to",
		"[fd77:2::99]:80":   "may not go to",
		"10.77.1.1:15001":   "straight to the listener",
		"[fd77:1::1]:15001": "straight to the listener",
	} {
		to := netip.MustParseAddrPort(text)
		r.dialInVain(to)
		if to.Port() != 80 {
			to = netip.AddrPort{} // it is not known to be a destination
		}
		told = append(told, func() {
			c := r.recordTo(to)
			if v := c.Verdict; v.Cause != "proxy_refused" || v.Side != diagnose.SideProxy || !strings.Contains(v.Sentence, words) {
				r.t.Errorf("to %s: got %s on side %s: %s; want proxy_refused: … %s …", text, v.Cause, v.Side, v.Sentence, words)
			}
		})
	}
	return told
}
