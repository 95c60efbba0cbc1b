package scenario

import (
	"context"
	"time"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "server-does-not-read", Cause: "peer_not_reading", Side: diagnose.SideUpstream, Ours: true,
		Story: "The server lives and reads nothing of a big upload, until the proxy's timeouts.user is over.",
		Proxy: Settings{User: 300 * time.Millisecond},
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			return e.Talk(ctx,
				steps(lab.Read(100), e.UntilClientEnds()),
				steps(lab.Write(50_000_000), lab.ReadAll()))
		},
	})
	register(Scenario{
		ID: "client-does-not-read", Cause: "peer_not_reading", Side: diagnose.SideDownstream, Ours: true,
		Story: "The client lives and reads nothing of a big answer, until the proxy's timeouts.user is over.",
		Proxy: Settings{User: 300 * time.Millisecond},
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			ended := make(chan struct{})
			return e.Talk(ctx,
				steps(lab.Read(100), lab.Write(50_000_000), lab.ReadAll(), tell(ended)),
				steps(lab.Write(100), lab.Read(100), lab.Wait(ended)))
		},
	})
}
