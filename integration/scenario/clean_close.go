package scenario

import (
	"context"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "exchange", Cause: "clean_close", Side: diagnose.SideUpstream,
		Story: "The server answers and closes, as HTTP/1.0 did.",
		Run: talk(
			steps(lab.Read(100), lab.Write(100_000), lab.Close()),
			steps(lab.Write(100), lab.ReadAll())),
	})
	register(Scenario{
		ID: "half-close", Cause: "clean_close", Side: diagnose.SideDownstream,
		Story: "The client ends its side after the request; the server answers all the same, and closes.",
		Run: talk(
			steps(lab.ReadAll(), lab.Write(100_000), lab.Close()),
			steps(lab.Write(100_000), lab.CloseWrite(), lab.ReadAll())),
	})
	register(Scenario{
		ID: "client-closes", Cause: "clean_close", Side: diagnose.SideDownstream,
		Story: "The client has its answer and closes.",
		Run: talk(
			steps(lab.Read(100), lab.Write(100), lab.ReadAll()),
			steps(lab.Write(100), lab.Read(100), lab.Close())),
	})
	register(Scenario{
		ID: "lossy-path", Cause: "clean_close", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT},
		Story: "Every twentieth packet is lost on the way, and all arrives.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			l, err := e.Open()
			if err != nil {
				return Outcome{}, err
			}
			lose := Rule("forward", "tcp flags & (syn|fin|rst) == 0 numgen random mod 20 0 drop")
			if err := e.Net.Router.NFT(lose); err != nil {
				return Outcome{}, err
			}
			return l.Talk(ctx,
				steps(lab.Read(100), lab.Write(300_000), lab.Close()),
				steps(lab.Write(100), lab.ReadAll()))
		},
	})
}
