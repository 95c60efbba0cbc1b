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
		family            int
		shown             []evidence.Source
	}{
		{"local-icmp-syn", "forbids the connection", "reject with icmpx admin-prohibited", 0, nil},
		{"local-reset-syn", "refuses the connection as a closed port would", "reject with tcp reset", 0, packets},
	} {
		register(Scenario{
			ID: syn.id, Cause: "local_firewall", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT}, Shown: syn.shown,
			Story: "A rule on the proxy's own host " + syn.what + ".",
			Run: func(ctx context.Context, e *Env) (Outcome, error) {
				l, err := e.Open()
				if err != nil {
					return Outcome{}, err
				}
				if err := e.Proxy().NFT(rule("output", "tcp dport %d %s", l.Upstream.Port(), syn.verdict)); err != nil {
					return Outcome{}, err
				}
				return e.Client(ctx, l.To, lab.Write(100), lab.ReadAll()), nil
			},
		})
	}
	for _, later := range []struct {
		id, what, verdict string
		shown             []evidence.Source
	}{
		{"local-drop", "drops", "drop", nil},
		{"local-icmp", "rejects by ICMP", "reject with icmpx admin-prohibited", nil},
		{"local-reset", "rejects by a reset", "reject with tcp reset", packets},
	} {
		register(Scenario{
			ID: later.id, Cause: "local_firewall", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT}, Shown: later.shown,
			Proxy: Settings{User: 300 * time.Millisecond}, Ours: true,
			Story: "A new rule on the proxy's own host " + later.what + " what the connection sends.",
			Run: func(ctx context.Context, e *Env) (Outcome, error) {
				return e.talkThen(ctx, 0, func(l *Line) error {
					return e.Proxy().NFT(rule("output", "tcp dport %d %s", l.Upstream.Port(), later.verdict))
				})
			},
		})
	}
}
