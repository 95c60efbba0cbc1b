package scenario

import (
	"context"

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
			return where.host(e).NFT(rule(where.hook, "tcp dport %d reject with tcp reset", l.Upstream.Port()))
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
			Story: where.who + " is given a new rule, and answers the next packet of the connection with a reset.",
			Run: func(ctx context.Context, e *Env) (Outcome, error) {
				l, err := e.Open()
				if err != nil {
					return Outcome{}, err
				}
				return l.Talk(ctx,
					steps(lab.Read(100), lab.Write(100), e.UntilClientEnds()),
					steps(lab.Write(100), lab.Read(100), do("new rule", func() error { return reject(e, l) }), lab.Write(100), lab.ReadAll()))
			},
		})
	}
	register(Scenario{
		ID: "reject-answer", Cause: "firewall_reject", Side: diagnose.SideDownstream, Needs: []lab.Feature{lab.NFT}, NearServer: true,
		Story: "A firewall between is given a new rule, and answers the next packet of the server's with a reset.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			l, err := e.Open()
			if err != nil {
				return Outcome{}, err
			}
			reject := func() error {
				return e.Net.Router.NFT(rule("forward", "tcp sport %d reject with tcp reset", l.To.Port()))
			}
			ended := make(chan struct{})
			return l.Talk(ctx,
				steps(lab.Read(100), lab.Write(100), lab.Read(100), do("new rule", reject), lab.Write(100), lab.ReadAll(), tell(ended)),
				steps(lab.Write(100), lab.Read(100), lab.Write(100), lab.Wait(ended)))
		},
	})
}
