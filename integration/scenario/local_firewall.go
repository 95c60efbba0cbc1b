package scenario

import (
	"context"
	"time"

	"whyreset/diagnose"
	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
)

func init() {
	for _, syn := range []struct {
		id, what, verdict string
		shown             []evidence.Source
		reset             bool // which nf_send_reset routes by its destination: as a client's, out to the client, past our socket
	}{
		{"local-icmp-syn", "forbids the connection", "reject with icmpx admin-prohibited", nil, false},
		{"local-reset-syn", "refuses the connection as a closed port would", "reject with tcp reset", packets, true},
	} {
		register(Scenario{
			ID: syn.id, Cause: "local_firewall", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT}, Shown: syn.shown,
			OnProxy: true, Forward: syn.reset,
			Story: "A rule on the proxy's own host " + syn.what + ".",
			Run: func(ctx context.Context, e *Env) (Outcome, error) {
				l, err := e.Open()
				if err != nil {
					return Outcome{}, err
				}
				if err := e.Proxy().NFT(Rule("output", "tcp dport %d %s", l.Upstream.Port(), syn.verdict)); err != nil {
					return Outcome{}, err
				}
				return e.Client(ctx, l.To, lab.Write(100), lab.ReadAll()), nil
			},
		})
	}
	for _, later := range []struct {
		id, what, verdict string
		shown             []evidence.Source
		reset             bool // see above
	}{
		{"local-drop", "drops", "drop", nil, false},
		{"local-icmp", "rejects by ICMP", "reject with icmpx admin-prohibited", nil, false},
		{"local-reset", "rejects by a reset", "reject with tcp reset", packets, true},
	} {
		register(Scenario{
			ID: later.id, Cause: "local_firewall", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT}, Shown: later.shown,
			OnProxy: true, Forward: later.reset,
			Proxy: Settings{User: 300 * time.Millisecond}, Ours: true,
			Story: "A new rule on the proxy's own host " + later.what + " what the connection sends.",
			Run: func(ctx context.Context, e *Env) (Outcome, error) {
				return e.talkThen(ctx, 0, func(l *Line) error {
					return e.Proxy().NFT(Rule("output", "tcp dport %d %s", l.Upstream.Port(), later.verdict))
				})
			},
		})
	}
	// What never leaves and what never arrives look alike to a socket, and like a silent network.
	for _, hook := range []struct{ id, what, rule string }{
		{"output", "what is sent", "tcp dport %d drop"},
		{"input", "what comes in", "tcp sport %d drop"},
	} {
		register(Scenario{
			ID: "local-" + hook.id + "-drop-syn", Cause: "local_firewall", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT}, Shown: packets, OnProxy: true,
			Story: "A rule on the proxy's own host drops " + hook.what + " while it connects, until the kernel gives up.",
			Run: func(ctx context.Context, e *Env) (Outcome, error) {
				l, err := e.Open()
				if err != nil {
					return Outcome{}, err
				}
				if err := e.Proxy().Sysctl("net.ipv4.tcp_syn_retries", "1"); err != nil {
					return Outcome{}, err
				}
				if err := e.Proxy().NFT(Rule(hook.id, hook.rule, l.Upstream.Port())); err != nil {
					return Outcome{}, err
				}
				return e.Client(ctx, l.To, lab.Write(100), lab.ReadAll()), nil
			},
		})
	}
	register(Scenario{
		ID: "local-input-drop", Cause: "local_firewall", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT}, Shown: packets, OnProxy: true,
		Story: "A new rule on the proxy's own host drops what the server sends, until the kernel gives up.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			if err := e.Proxy().Sysctl("net.ipv4.tcp_retries2", "1"); err != nil {
				return Outcome{}, err
			}
			return e.talkThen(ctx, 0, func(l *Line) error {
				return e.Proxy().NFT(Rule("input", "tcp sport %d drop", l.Upstream.Port()))
			})
		},
	})
	register(Scenario{
		ID: "local-input-drop-idle", Cause: "local_firewall", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT}, Shown: packets, OnProxy: true, Ours: true,
		Story: "A new rule on the proxy's own host drops what the server sends while nobody speaks; the proxy's keepalive finds out.",
		Proxy: Settings{KeepAlive: time.Second, User: 100 * time.Millisecond},
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			l, err := e.Open()
			if err != nil {
				return Outcome{}, err
			}
			drop := func() error { return e.Proxy().NFT(Rule("input", "tcp sport %d drop", l.Upstream.Port())) }
			return l.Talk(ctx,
				steps(lab.Read(100), lab.Write(100), e.UntilClientEnds()),
				steps(lab.Write(100), lab.Read(100), do("new rule", drop), lab.ReadAll()))
		},
	})
}
