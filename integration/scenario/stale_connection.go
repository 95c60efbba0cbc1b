package scenario

import (
	"context"
	"fmt"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	needs := []lab.Feature{lab.NFT, lab.SS}
	register(Scenario{
		ID: "state-lost", Cause: "stale_connection", Side: diagnose.SideUpstream, Needs: needs,
		Story: "The server's host forgets the connection without a word, as one does that restarts; then, a second after the last answer, the client speaks.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			return e.talkThen(ctx, silence, func(l *Line) error { return Forget(e.Net.Server, "sport", l.Upstream.Port()) })
		},
	})
	register(Scenario{
		ID: "state-lost-at-once", Cause: "stale_connection", Side: diagnose.SideUpstream, Needs: needs, Shown: packets,
		Story: "The server's host forgets the connection without a word, and the client speaks at once.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			return e.talkThen(ctx, 0, func(l *Line) error { return Forget(e.Net.Server, "sport", l.Upstream.Port()) })
		},
	})
	register(Scenario{
		ID: "client-state-lost", Cause: "stale_connection", Side: diagnose.SideDownstream, Needs: needs, NearServer: true,
		Story: "The client's host forgets the connection without a word; then, a second after the last request, the server answers.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			return e.answerThen(ctx, silence, func(l *Line) error { return Forget(e.Net.Client, "dport", l.To.Port()) })
		},
	})
}

// Forget destroys the host's sockets with that port and keeps the reset that tells of it from leaving.
func Forget(h *lab.Host, which string, port uint16) error {
	if err := h.NFT(Rule("output", "tcp %s %d tcp flags rst drop", which, port)); err != nil {
		return err
	}
	if _, err := h.KillSockets(which, "=", fmt.Sprintf(":%d", port)); err != nil {
		return err
	}
	return h.FlushNFT()
}
