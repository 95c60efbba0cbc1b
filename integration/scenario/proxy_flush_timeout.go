package scenario

import (
	"context"
	"time"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "flush-timeout", Cause: "proxy_flush_timeout", Side: diagnose.SideProxy, Ours: true,
		Story: "Both have ended, and the client does not take the end of the answer for longer than the proxy's timeouts.flush of 200 ms.",
		Proxy: Settings{Flush: 200 * time.Millisecond},
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			return e.Talk(ctx,
				steps(lab.ReadAll(), lab.Write(400_000), lab.CloseWrite(), e.UntilClientEnds()),
				steps(lab.Write(100), lab.CloseWrite(), lab.WaitGone(), lab.ReadAll()))
		},
	})
}
