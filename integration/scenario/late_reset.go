package scenario

import (
	"context"
	"time"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "closed-by-both-late", Cause: "late_reset", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.Netns}, Heard: "clean_close", Forward: true,
		Story: "The server answers and closes; its kernel forgets the connection after a second (net.ipv4.tcp_fin_timeout) and answers the client's own FIN, which comes later, with a reset.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			if err := e.Net.Server.Sysctl("net.ipv4.tcp_fin_timeout", "1"); err != nil {
				return Outcome{}, err
			}
			return e.Talk(ctx,
				steps(lab.Read(100), lab.Write(100), lab.Close()),
				steps(lab.Write(100), lab.ReadAll(), lab.Sleep(1500*time.Millisecond), lab.CloseWrite(), lab.WaitGone(), lab.Close()))
		},
	})
}
