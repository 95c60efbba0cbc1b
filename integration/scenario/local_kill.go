package scenario

import (
	"context"
	"fmt"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	for _, leg := range []struct {
		id, story string
		side      diagnose.Side
		filter    func(*Line) []string
	}{
		{"our-upstream-socket-killed", "On the proxy's host somebody destroys its socket to the server (ss -K).", diagnose.SideUpstream,
			func(l *Line) []string { return []string{"dport", "=", fmt.Sprintf(":%d", l.Upstream.Port())} }},
		{"our-client-socket-killed", "On the proxy's host somebody destroys its socket to the client (ss -K).", diagnose.SideDownstream,
			func(l *Line) []string { return []string{"sport", "=", fmt.Sprintf(":%d", l.To.Port())} }},
	} {
		register(Scenario{
			ID: leg.id, Cause: "local_kill", Side: leg.side, Story: leg.story, Ours: true, Needs: []lab.Feature{lab.SS},
			Run: func(ctx context.Context, e *Env) (Outcome, error) {
				l, err := e.Open()
				if err != nil {
					return Outcome{}, err
				}
				kill := func() error {
					_, err := e.Proxy().KillSockets(leg.filter(l)...)
					return err
				}
				return l.Talk(ctx,
					steps(lab.Read(100), lab.Write(100), lab.ReadAll()),
					steps(lab.Write(100), lab.Read(100), do("ss -K", kill), lab.ReadAll()))
			},
		})
	}
}
