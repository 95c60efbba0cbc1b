package scenario

import (
	"context"
	"net/netip"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "port-used-again", Cause: "port_reuse", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.Netns}, Heard: "clean_close", Forward: true, Last: true,
		Story: "The client's host restarts and connects from the same port once more, while the server still has the old connection.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			l, err := e.Open()
			if err != nil {
				return Outcome{}, err
			}
			e.Serve(l.Listener, lab.Read(100), lab.Write(100), lab.Read(1), lab.Write(1), lab.Close())
			first, err := e.Dial(ctx, l.To)
			if err != nil {
				return Outcome{}, err
			}
			port := netip.MustParseAddrPort(first.LocalAddr().String())
			out := lab.Run(ctx, first, lab.Script{Steps: steps(lab.Write(100), lab.Read(100), lab.Vanish())})
			if out.Trouble != nil {
				return Outcome{Client: out}, nil
			}
			second, err := e.Net.Client.DialFrom(ctx, port, l.To)
			if err != nil {
				return Outcome{}, err
			}
			close(e.over)
			return Outcome{Client: lab.Run(ctx, second, lab.Script{Steps: steps(lab.Write(100), lab.Read(100), lab.Write(1), lab.ReadAll())})}, nil
		},
	})
}
