package scenario

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"whyreset/diagnose"
	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
)

func init() {
	for _, how := range []struct {
		id, story string
		pause     time.Duration
		scenario  Scenario
	}{
		{id: "state-lost", pause: silence,
			story: "The server's host forgets the connection without a word, as one does that restarts; then, a second after the last answer, the client speaks."},
		{id: "state-lost-at-once", scenario: Scenario{Shown: packets},
			story: "The server's host forgets the connection without a word, and the client speaks at once."},
		{id: "state-lost-far", pause: silence, scenario: Scenario{Shown: []evidence.Source{evidence.Packets, evidence.Witness}, Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond, Forward: true},
			story: "The same, with 20 to 30 ms between the two."},
	} {
		s := how.scenario
		s.ID, s.Story, s.Cause, s.Side, s.Needs = how.id, how.story, "stale_connection", diagnose.SideUpstream, []lab.Feature{lab.Netns}
		s.Run = func(ctx context.Context, e *Env) (Outcome, error) {
			return e.talkWhile(ctx, how.pause, func(*Line) []lab.Step { return steps(lab.Vanish()) })
		}
		register(s)
	}
	register(Scenario{
		ID: "host-restarted", Cause: "stale_connection", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.Netns}, Forward: true,
		Story: "The server's host forgets the connection, and nobody listens there any more; then, a second after the last answer, the client speaks.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			return e.talkWhile(ctx, silence, func(l *Line) []lab.Step {
				return steps(lab.Vanish(), do("listener closed", l.Listener.Close))
			})
		},
	})
	register(Scenario{
		ID: "client-state-lost", Cause: "stale_connection", Side: diagnose.SideDownstream, Needs: []lab.Feature{lab.Netns}, NearServer: true,
		Story: "The client's host forgets the connection without a word; then, a second after the last request, the server answers.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			now, gone := make(chan struct{}), make(chan struct{})
			return e.Talk(ctx,
				steps(lab.Read(100), lab.Write(100), lab.Read(100), lab.Sleep(silence), tell(now), lab.Wait(gone), lab.Write(100), lab.ReadAll()),
				steps(lab.Write(100), lab.Read(100), lab.Write(100), lab.Wait(now), lab.Vanish(), tell(gone)))
		},
	})
	register(Scenario{
		ID: "server-gave-up", Cause: "stale_connection", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT}, Forward: true,
		Story: "The way from the server is cut for a while, and its kernel gives the connection up (TCP_USER_TIMEOUT); when the way is whole again, the client speaks.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			return e.talkWhile(ctx, silence, func(l *Line) []lab.Step {
				drop := func() error { return e.Net.Router.NFT(Rule("forward", "tcp sport %d drop", l.Upstream.Port())) }
				return steps(lab.UserTimeout(300*time.Millisecond), do("new rule", drop),
					lab.Write(100), lab.WaitGone(), do("no rule", e.Net.Router.FlushNFT))
			})
		},
	})
	register(Scenario{
		ID: "failed-over", Cause: "stale_connection", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.Netns}, Forward: true,
		Story: "The server's host goes and its address moves to one that knows nothing of the connection, a hop nearer; then the client speaks.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			return e.talkThen(ctx, silence, func(*Line) error {
				if err := e.Net.Server.LinkDown("eth0"); err != nil {
					return err
				}
				return e.Net.Router.TakeAddress(e.ServerAddr())
			})
		},
	})
	for _, loss := range []struct {
		id, story string
		pause     time.Duration
		timeout   string // of an established connection, in seconds; empty: the kernel's, and the entry is removed
	}{
		{"nat-entry-flushed", "A masquerading router loses its table, lets through what it does not know, and the server meets packets from an address that it has never seen.", silence, ""},
		{"nat-entry-expired", "A masquerading router forgets a connection that was idle for a second, lets through what it does not know, and the server meets packets from an address that it has never seen.", 2500 * time.Millisecond, "1"},
	} {
		register(Scenario{
			ID: loss.id, Cause: "stale_connection", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT}, Story: loss.story, Forward: true,
			Run: func(ctx context.Context, e *Env) (Outcome, error) {
				err := e.Net.Router.NFT("table inet scenario_nat { chain c { type nat hook postrouting priority 100; oifname toserver masquerade; }; }")
				if err == nil {
					err = e.Net.Router.Sysctl("net.netfilter.nf_conntrack_tcp_loose", "0")
				}
				if err == nil && loss.timeout != "" {
					err = e.Net.Router.Sysctl("net.netfilter.nf_conntrack_tcp_timeout_established", loss.timeout)
				}
				if err != nil {
					return Outcome{}, err
				}
				return e.talkThen(ctx, loss.pause, func(*Line) error {
					if loss.timeout != "" {
						return nil
					}
					return e.Net.Router.FlushConntrack()
				})
			},
		})
	}
	for _, loss := range []struct {
		id, story string
		pause     time.Duration
		timeout   string // of an established connection, in seconds; empty: the kernel's, and the entry is removed
	}{
		{"dnat-entry-flushed", "loses its table", silence, ""},
		{"dnat-entry-expired", "forgets the connection after a second without a packet", 2500 * time.Millisecond, "1"},
	} {
		register(Scenario{
			ID: loss.id, Cause: "stale_connection", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT}, Forward: true,
			Story: "A box that passes on to the server what is sent to its own address " + loss.story + ", and answers the next packet itself.",
			Run: func(ctx context.Context, e *Env) (Outcome, error) {
				ln, server, err := e.Listen()
				if err != nil {
					return Outcome{}, err
				}
				router := e.Net.Router
				box := netip.AddrPortFrom(e.addr(router), server.Port())
				family := "ip"
				if e.Place.IPv6 {
					family = "ip6"
				}
				err = router.NFT(fmt.Sprintf("table inet scenario_dnat { chain c { type nat hook prerouting priority -100; %s daddr %s tcp dport %d dnat %s to %s; }; }",
					family, box.Addr(), box.Port(), family, server.Addr()))
				if err == nil {
					err = router.Sysctl("net.netfilter.nf_conntrack_tcp_loose", "0")
				}
				if err == nil && loss.timeout != "" {
					err = router.Sysctl("net.netfilter.nf_conntrack_tcp_timeout_established", loss.timeout)
				}
				if err != nil {
					return Outcome{}, err
				}
				to, err := e.Through(box)
				if err != nil {
					return Outcome{}, err
				}
				l := &Line{env: e, Listener: ln, Upstream: box, To: to}
				return l.talkThen(ctx, loss.pause, func(*Line) error {
					if loss.timeout != "" {
						return nil
					}
					return router.FlushConntrack()
				})
			},
		})
	}
	register(Scenario{
		ID: "cut-off-behind-our-back", Cause: "stale_connection", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT}, Forward: true,
		Story: "A firewall answers a packet of the server's with a reset, of which nobody but the server hears; when the rule is gone, the client speaks.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			return e.talkWhile(ctx, silence, func(l *Line) []lab.Step {
				reject := func() error {
					return e.Net.Router.NFT(Rule("forward", "tcp sport %d reject with tcp reset", l.Upstream.Port()))
				}
				return steps(do("new rule", reject), lab.Write(100), lab.WaitGone(), do("no rule", e.Net.Router.FlushNFT))
			})
		},
	})
}
