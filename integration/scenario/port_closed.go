package scenario

import (
	"context"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "closed-port", Cause: "port_closed", Side: diagnose.SideUpstream,
		Story: "Nothing listens on the server's port.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			l, err := e.Open()
			if err != nil {
				return Outcome{}, err
			}
			l.Listener.Close()
			if e.Net == nil { // where others may be given the port meanwhile
				free, err := lab.Occupy(l.Upstream)
				if err != nil {
					return Outcome{}, err
				}
				e.later(free)
			}
			return e.Client(ctx, l.To, lab.Write(100), lab.ReadAll()), nil
		},
	})
}
