package scenario

import (
	"context"
	"errors"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "accept-queue-aborts", Cause: "accept_queue_overflow", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT}, Shown: packets, Forward: true,
		Story: "The server's accept queue fills while the handshake is under way, and its kernel resets what is too much (net.ipv4.tcp_abort_on_overflow).",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			l, err := e.Open()
			if err != nil {
				return Outcome{}, err
			}
			if err := e.Net.Server.Sysctl("net.ipv4.tcp_abort_on_overflow", "1"); err != nil {
				return Outcome{}, err
			}
			if err := e.fillTo(ctx, l, 1); err != nil {
				return Outcome{}, err
			}
			// The third packet of the handshake is kept back until the queue is full. The server asks for it again after a second.
			if err := e.Net.Server.NFT(Rule("input", "tcp dport %d tcp flags & (syn|rst|ack) == ack drop", l.Upstream.Port())); err != nil {
				return Outcome{}, err
			}
			filled := make(chan error, 1)
			go func() {
				filled <- errors.Join(e.Net.Server.WaitHandshake(ctx, l.Upstream.Port()), lab.Backlog(l.Listener, 0), e.Net.Server.FlushNFT())
			}()
			out := e.Client(ctx, l.To, lab.ReadAll())
			return out, <-filled
		},
	})
}
