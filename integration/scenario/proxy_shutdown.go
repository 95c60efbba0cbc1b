package scenario

import (
	"context"
	"time"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "shutdown", Cause: "proxy_shutdown", Side: diagnose.SideProxy, Ours: true,
		Story: "The proxy is stopped, and the connection is still there when timeouts.stop_grace of 50 ms is over.",
		Proxy: Settings{Grace: 50 * time.Millisecond},
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			stop := func() error {
				e.StopProxy()
				return nil
			}
			return e.Talk(ctx,
				steps(lab.Read(100), lab.Write(100), lab.ReadAll()),
				steps(lab.Write(100), lab.Read(100), do("stop the proxy", stop), lab.ReadAll()))
		},
	})
}
