package scenario

import (
	"context"
	"fmt"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "state-lost", Cause: "stale_connection", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT, lab.SS},
		Story: "The server's host forgets the connection without a word, as one does that restarts; then the client speaks.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			l, err := e.Open()
			if err != nil {
				return Outcome{}, err
			}
			return l.Talk(ctx,
				steps(lab.Read(100), lab.Write(100), e.UntilClientEnds()),
				steps(lab.Write(100), lab.Read(100), do("forget", func() error { return forget(e.Net.Server, "sport", l.Upstream.Port()) }),
					lab.Write(100), lab.ReadAll()))
		},
	})
	register(Scenario{
		ID: "client-state-lost", Cause: "stale_connection", Side: diagnose.SideDownstream, Needs: []lab.Feature{lab.NFT, lab.SS}, NearServer: true,
		Story: "The client's host forgets the connection without a word; then the server speaks.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			l, err := e.Open()
			if err != nil {
				return Outcome{}, err
			}
			ended := make(chan struct{})
			return l.Talk(ctx,
				steps(lab.Read(100), lab.Write(100), lab.Read(100), do("forget", func() error { return forget(e.Net.Client, "dport", l.To.Port()) }),
					lab.Write(100), lab.ReadAll(), tell(ended)),
				steps(lab.Write(100), lab.Read(100), lab.Write(100), lab.Wait(ended)))
		},
	})
}

// forget destroys the host's sockets with that port and keeps the reset that tells of it from leaving.
func forget(h *lab.Host, which string, port uint16) error {
	if err := h.NFT(rule("output", "tcp %s %d tcp flags rst drop", which, port)); err != nil {
		return err
	}
	if _, err := h.KillSockets(which, "=", fmt.Sprintf(":%d", port)); err != nil {
		return err
	}
	return h.FlushNFT()
}
