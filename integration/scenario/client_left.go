package scenario

import (
	"context"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "client-leaves", Cause: "client_left", Side: diagnose.SideDownstream, Ours: true,
		Story: "The client gives up while the proxy is still connecting to a server that does not accept.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			l, err := e.Open()
			if err != nil {
				return Outcome{}, err
			}
			if err := e.fill(ctx, l); err != nil {
				return Outcome{}, err
			}
			return e.Client(ctx, l.To, lab.Write(100), lab.Reset()), nil
		},
	})
}
