package scenario

import (
	"context"
	"fmt"

	"whyreset/diagnose"
	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
)

func init() {
	witness := []evidence.Source{evidence.Witness}
	register(Scenario{
		ID: "server-socket-killed", Cause: "peer_socket_destroyed", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.SS}, Shown: witness,
		Story: "On the server's host somebody destroys its socket (ss -K).",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			l, err := e.Open()
			if err != nil {
				return Outcome{}, err
			}
			return l.Talk(ctx,
				steps(lab.Read(100), lab.Write(100), do("ss -K", func() error {
					_, err := e.Net.Server.KillSockets("sport", "=", fmt.Sprintf(":%d", l.Upstream.Port()))
					return err
				}), lab.ReadAll()),
				steps(lab.Write(100), lab.Read(100), lab.ReadAll()))
		},
	})
	register(Scenario{
		ID: "client-socket-killed", Cause: "peer_socket_destroyed", Side: diagnose.SideDownstream, Needs: []lab.Feature{lab.SS}, Shown: witness, NearServer: true,
		Story: "On the client's host somebody destroys its socket (ss -K).",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			l, err := e.Open()
			if err != nil {
				return Outcome{}, err
			}
			return l.Talk(ctx,
				steps(lab.Read(100), lab.Write(100), lab.ReadAll()),
				steps(lab.Write(100), lab.Read(100), do("ss -K", func() error {
					_, err := e.Net.Client.KillSockets("dport", "=", fmt.Sprintf(":%d", l.To.Port()))
					return err
				}), lab.ReadAll()))
		},
	})
}
