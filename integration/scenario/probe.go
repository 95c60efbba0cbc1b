package scenario

import (
	"context"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	for _, how := range []struct {
		id, story string
		leave     lab.Step
	}{
		{"probe", "A health check connects, sends nothing and closes.", lab.Close()},
		{"probe-resets", "A health check connects, sends nothing and resets.", lab.Reset()},
	} {
		register(Scenario{
			ID: how.id, Cause: "probe", Side: diagnose.SideDownstream, Story: how.story,
			Run: func(ctx context.Context, e *Env) (Outcome, error) {
				accepted := make(chan struct{})
				return e.Talk(ctx,
					steps(tell(accepted), lab.ReadAll()),
					steps(lab.Wait(accepted), how.leave))
			},
		})
	}
}
