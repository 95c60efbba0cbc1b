package scenario

import (
	"context"
	"time"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "server-keepalive-expires", Cause: "peer_keepalive_expired", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT}, Shown: packets, Forward: true,
		Story: "A firewall drops what goes to the server while nobody speaks; the server's keepalive probes come through, their answers do not, and it resets the connection.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			l, err := e.Open()
			if err != nil {
				return Outcome{}, err
			}
			return l.Talk(ctx,
				steps(lab.KeepAlive(time.Second, time.Second, 2), lab.Read(100), lab.Write(100), lab.ReadAll()),
				steps(lab.Write(100), lab.Read(100), do("new rule", func() error { return dropUpstream(e)(l) }), lab.ReadAll()))
		},
	})
	register(Scenario{
		ID: "client-keepalive-expires", Cause: "peer_keepalive_expired", Side: diagnose.SideDownstream, Needs: []lab.Feature{lab.NFT}, Shown: packets, Forward: true,
		NearServer: true,
		Story:      "A firewall drops what goes to the client while nobody speaks; the client's keepalive probes come through, their answers do not, and it resets the connection.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			l, err := e.Open()
			if err != nil {
				return Outcome{}, err
			}
			return l.Talk(ctx,
				steps(lab.Read(100), lab.Write(100), lab.ReadAll()),
				steps(lab.KeepAlive(time.Second, time.Second, 2), lab.Write(100), lab.Read(100), do("new rule", func() error {
					return e.Net.Router.NFT(Rule("forward", "tcp sport %d drop", l.To.Port()))
				}), lab.ReadAll()))
		},
	})
}
