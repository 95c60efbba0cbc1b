package scenario

import (
	"context"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "reset-at-accept", Cause: "abort_at_accept", Side: diagnose.SideUpstream,
		Story: "The server takes the connection and aborts it at once.",
		Run: talk(
			steps(lab.Reset()),
			steps(lab.ReadAll())),
	})
	register(Scenario{
		ID: "listener-closed", Cause: "abort_at_accept", Side: diagnose.SideUpstream,
		Story: "The server stops listening while the connection waits to be accepted.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			l, err := e.Open()
			if err != nil {
				return Outcome{}, err
			}
			stop := func() error {
				if err := lab.WaitQueued(ctx, l.Listener, 1); err != nil {
					return err
				}
				return l.Listener.Close()
			}
			return e.Client(ctx, l.To, do("close the listener", stop), lab.ReadAll()), nil
		},
	})
}
