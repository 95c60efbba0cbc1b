package scenario

import (
	"context"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "limit", Cause: "proxy_limit", Side: diagnose.SideProxy, Ours: true, Last: true,
		Story: "The proxy may carry one connection at a time, and there is one.",
		Proxy: Settings{Connections: 1},
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			l, err := e.Open()
			if err != nil {
				return Outcome{}, err
			}
			e.Serve(l.Listener, lab.Read(100), lab.Write(100), lab.ReadAll())
			first, err := e.Dial(ctx, l.To)
			if err != nil {
				return Outcome{}, err
			}
			var out Outcome
			second := func() error {
				out = e.Client(ctx, l.To, lab.Write(100), lab.ReadAll())
				return nil
			}
			// The first one is certainly there when it has been answered.
			held := lab.Run(ctx, first, lab.Script{Steps: steps(lab.Write(100), lab.Read(100), do("a second connection", second))})
			return out, held.ReadErr
		},
	})
}
