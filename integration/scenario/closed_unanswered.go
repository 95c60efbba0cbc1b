package scenario

import (
	"context"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "server-hangs-up", Cause: "closed_unanswered", Side: diagnose.SideUpstream,
		Story: "The server reads the request and closes without a word of answer.",
		Run: talk(
			steps(lab.Read(100), lab.Close()),
			steps(lab.Write(100), lab.ReadAll())),
	})
	register(Scenario{
		ID: "server-killed-read", Cause: "closed_unanswered", Side: diagnose.SideUpstream,
		Story: "The server process is killed (SIGKILL) after it has read the request, before it answers.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			return e.talkUntilKilled(ctx, 100, 0, 100)
		},
	})
}
