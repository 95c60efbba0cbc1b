package scenario

import (
	"context"
	"time"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "drop-later", Cause: "path_silent", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT},
		Story: "A firewall between is given a new rule, and drops every packet of the connection until the kernel gives up.", OnProxy: true,
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			if err := e.Proxy().Sysctl("net.ipv4.tcp_retries2", "1"); err != nil {
				return Outcome{}, err
			}
			return e.talkThen(ctx, 0, dropUpstream(e))
		},
	})
	register(Scenario{
		ID: "drop-later-user-timeout", Cause: "path_silent", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT}, Ours: true,
		Story: "A firewall between is given a new rule, and drops every packet of the connection until the proxy's timeouts.user is over.",
		Proxy: Settings{User: 300 * time.Millisecond},
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			return e.talkThen(ctx, 0, dropUpstream(e))
		},
	})
	register(Scenario{
		ID: "drop-answer", Cause: "path_silent", Side: diagnose.SideDownstream, Needs: []lab.Feature{lab.NFT}, NearServer: true,
		Story: "A firewall between client and proxy is given a new rule, and drops every packet of the connection until the kernel gives up.", OnProxy: true,
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			if err := e.Proxy().Sysctl("net.ipv4.tcp_retries2", "1"); err != nil {
				return Outcome{}, err
			}
			return e.answerThen(ctx, 0, func(l *Line) error {
				return e.Net.Router.NFT(Rule("forward", "tcp sport %d drop", l.To.Port()))
			})
		},
	})
}

func dropUpstream(e *Env) func(*Line) error {
	return func(l *Line) error {
		return e.Net.Router.NFT(Rule("forward", "tcp dport %d drop", l.Upstream.Port()))
	}
}
