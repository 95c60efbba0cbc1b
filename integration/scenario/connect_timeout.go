package scenario

import (
	"context"
	"time"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "accept-queue-full", Cause: "connect_timeout", Side: diagnose.SideUpstream, Ours: true,
		Story: "The server is too busy to accept, so its kernel drops what would be one connection too many; the proxy gives up after 300 ms.",
		Proxy: Settings{Connect: 300 * time.Millisecond},
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			l, err := e.Open()
			if err != nil {
				return Outcome{}, err
			}
			if err := e.fill(ctx, l); err != nil {
				return Outcome{}, err
			}
			return e.Client(ctx, l.To, lab.Write(100), lab.ReadAll()), nil
		},
	})
	register(Scenario{
		ID: "drop-syn", Cause: "connect_timeout", Side: diagnose.SideUpstream, Ours: true,
		Story: "A firewall between drops every packet to the server; the proxy gives up after 300 ms.",
		Needs: []lab.Feature{lab.NFT}, Proxy: Settings{Connect: 300 * time.Millisecond},
		Run: dropSYN,
	})
	register(Scenario{
		ID: "drop-syn-kernel", Cause: "connect_timeout", Side: diagnose.SideUpstream,
		Story: "A firewall between drops every packet to the server, until the kernel gives up.",
		Needs: []lab.Feature{lab.NFT},
		Run:   dropSYN,
	})
}

func dropSYN(ctx context.Context, e *Env) (Outcome, error) {
	l, err := e.Open()
	if err != nil {
		return Outcome{}, err
	}
	// As few as there can be: a second, and another one.
	if err := e.Proxy().Sysctl("net.ipv4.tcp_syn_retries", "1"); err != nil {
		return Outcome{}, err
	}
	if err := e.Net.Router.NFT(Rule("forward", "tcp dport %d drop", l.Upstream.Port())); err != nil {
		return Outcome{}, err
	}
	return e.Client(ctx, l.To, lab.Write(100), lab.ReadAll()), nil
}

// fill makes the line's server one that has no room for another connection.
func (e *Env) fill(ctx context.Context, l *Line) error { return e.fillTo(ctx, l, 0) }

// fillTo leaves room for so many.
func (e *Env) fillTo(ctx context.Context, l *Line, room int) error {
	if err := lab.Backlog(l.Listener, room); err != nil {
		return err
	}
	first, err := e.server.Dial(ctx, "tcp", l.Upstream)
	if err != nil {
		return err
	}
	e.later(func() { first.Close() })
	return lab.WaitQueued(ctx, l.Listener, 1)
}
