package scenario

import (
	"context"
	"time"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	for _, where := range []struct {
		id, who, hook string
		host          func(*Env) *lab.Host
	}{
		{"router", "A firewall between", "forward", func(e *Env) *lab.Host { return e.Net.Router }},
		{"server", "A rule on the server's host", "input", func(e *Env) *lab.Host { return e.Net.Server }},
	} {
		reject := func(e *Env, l *Line) error {
			return where.host(e).NFT(Rule(where.hook, "tcp dport %d reject with tcp reset", l.Upstream.Port()))
		}
		register(Scenario{
			ID: "reject-syn-" + where.id, Cause: "firewall_reject", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT},
			Story: where.who + " refuses the connection with a reset, as a closed port would.",
			Run: func(ctx context.Context, e *Env) (Outcome, error) {
				l, err := e.Open()
				if err != nil {
					return Outcome{}, err
				}
				if err := reject(e, l); err != nil {
					return Outcome{}, err
				}
				return e.Client(ctx, l.To, lab.Write(100), lab.ReadAll()), nil
			},
		})
		register(Scenario{
			ID: "reject-" + where.id, Cause: "firewall_reject", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT},
			Story: where.who + " is given a new rule after a second of silence, and answers the connection's next packet with a reset.",
			Run: func(ctx context.Context, e *Env) (Outcome, error) {
				return e.talkThen(ctx, silence, func(l *Line) error { return reject(e, l) })
			},
		})
		register(Scenario{
			ID: "reject-" + where.id + "-at-once", Cause: "firewall_reject", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT},
			Story: where.who + " is given a new rule, and at once answers the connection's next packet with a reset.",
			Shown: packets,
			Run: func(ctx context.Context, e *Env) (Outcome, error) {
				return e.talkThen(ctx, 0, func(l *Line) error { return reject(e, l) })
			},
		})
	}
	register(Scenario{
		ID: "reject-nearby", Cause: "firewall_reject", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT},
		Story: "A firewall much nearer than the server is given a new rule, and answers the connection's next packet with a reset.",
		Delay: 15 * time.Millisecond,
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			return e.talkThen(ctx, silence, func(l *Line) error {
				return e.Net.Router.NFT(Rule("forward", "tcp dport %d reject with tcp reset", l.Upstream.Port()))
			})
		},
	})
	register(Scenario{
		ID: "reject-answer", Cause: "firewall_reject", Side: diagnose.SideDownstream, Needs: []lab.Feature{lab.NFT}, NearServer: true,
		Story: "A firewall between client and proxy is given a new rule after a second of silence, and answers the server's next packet with a reset.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			return e.answerThen(ctx, silence, func(l *Line) error {
				return e.Net.Router.NFT(Rule("forward", "tcp sport %d reject with tcp reset", l.To.Port()))
			})
		},
	})
	register(Scenario{
		ID: "device-answers-and-lets-pass", Cause: "firewall_reject", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.Netns}, Shown: packets, Forward: true,
		Delay: 50 * time.Millisecond,
		Story: "A device between answers a request as a reject rule would, and lets it pass, so that the server answers, too.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			return e.forgeAnswer(ctx, func(trigger, _ *seen) []lab.Segment { return []lab.Segment{reply(trigger)} })
		},
	})
	register(Scenario{
		ID: "reject-untracked", Cause: "firewall_reject", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT}, Forward: true,
		Story: "A stateful firewall between rejects what belongs to no connection that it knows, and loses its table.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			err := e.Net.Router.NFT(Rule("forward", "ct state invalid reject with tcp reset"))
			if err == nil {
				err = e.Net.Router.Sysctl("net.netfilter.nf_conntrack_tcp_loose", "0")
			}
			if err != nil {
				return Outcome{}, err
			}
			return e.talkThen(ctx, silence, func(*Line) error { return e.Net.Router.FlushConntrack() })
		},
	})
}
