package scenario

import (
	"context"
	"time"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "silent-while-idle", Cause: "keepalive_unanswered", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT}, Ours: true,
		Story: "The path to the server falls silent while nobody speaks; the proxy's keepalive finds out.",
		// A probe after 1 s, and the end at the next one: three would take 4 s.
		Proxy: Settings{KeepAlive: time.Second, User: 100 * time.Millisecond},
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			l, err := e.Open()
			if err != nil {
				return Outcome{}, err
			}
			return l.Talk(ctx,
				steps(lab.Read(100), lab.Write(100), e.UntilClientEnds()),
				steps(lab.Write(100), lab.Read(100), do("new rule", func() error { return dropUpstream(e)(l) }), lab.ReadAll()))
		},
	})
}
