package scenario

import (
	"context"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "loop", Cause: "proxy_refused", Side: diagnose.SideProxy, Ours: true, Forward: true, Last: true,
		Story: "The proxy's upstream is its own address; it refuses the connection that is its own.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			to, err := e.Looped()
			if err != nil {
				return Outcome{}, err
			}
			return e.Client(ctx, to, lab.Write(100), lab.ReadAll()), nil
		},
	})
}
