package scenario

import (
	"context"
	"time"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "server-resets", Cause: "app_abort", Side: diagnose.SideUpstream,
		Story: "The server reads the request and, instead of answering, aborts the connection (SO_LINGER 0).",
		Run: talk(
			steps(lab.Read(100), lab.Reset()),
			steps(lab.Write(100), lab.ReadAll())),
	})
	register(Scenario{
		ID: "server-resets-later", Cause: "app_abort", Side: diagnose.SideUpstream, Shown: packets,
		Story: "The server answers a first request, reads the second one and aborts, before its kernel has acknowledged it.",
		Run: talk(
			steps(lab.Read(100), lab.Write(100), lab.Read(100), lab.Reset()),
			steps(lab.Write(100), lab.Read(100), lab.Write(100), lab.ReadAll())),
	})
	register(Scenario{
		ID: "server-resets-answering", Cause: "app_abort", Side: diagnose.SideUpstream,
		Story: "The server aborts in the middle of its answer.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			received := make(chan struct{})
			return e.Talk(ctx,
				steps(lab.Read(100), lab.Write(10_000), lab.Wait(received), lab.Reset()),
				steps(lab.Write(100), lab.Read(10_000), tell(received), lab.ReadAll()))
		},
	})
	register(Scenario{
		ID: "client-resets", Cause: "app_abort", Side: diagnose.SideDownstream,
		Story: "The client sends its request and, instead of waiting for the answer, aborts the connection (SO_LINGER 0).",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			received := make(chan struct{})
			return e.Talk(ctx,
				steps(lab.Read(100), tell(received), lab.ReadAll()),
				steps(lab.Write(100), lab.Wait(received), lab.Reset()))
		},
	})
	register(Scenario{
		ID: "client-resets-uploading", Cause: "app_abort", Side: diagnose.SideDownstream,
		Story: "The client aborts in the middle of its upload.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			received := make(chan struct{})
			return e.Talk(ctx,
				steps(lab.Read(1_000_000), tell(received), lab.ReadAll()),
				steps(lab.Write(1_000_000), lab.Wait(received), lab.Reset()))
		},
	})
	for _, how := range []struct {
		id, story string
		merged    bool
	}{
		{"server-resets-answering-merged", "The server aborts in the middle of a big answer, whose segments are merged on the way (TSO, GRO).", true},
		{"server-resets-answering-unmerged", "The server aborts in the middle of a big answer, whose segments nobody merges, over a path that jitters.", false},
	} {
		register(Scenario{
			ID: how.id, Cause: "app_abort", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.Netns}, Story: how.story, Forward: true,
			Delay: 5 * time.Millisecond, Jitter: 5 * time.Millisecond,
			Run: func(ctx context.Context, e *Env) (Outcome, error) {
				for _, h := range []*lab.Host{e.Net.Client, e.Net.Server, e.Net.Router} {
					if err := h.Offload(how.merged); err != nil {
						return Outcome{}, err
					}
				}
				received := make(chan struct{})
				return e.Talk(ctx,
					steps(lab.Read(100), lab.Write(200_000), lab.Wait(received), lab.Reset()),
					steps(lab.Write(100), lab.Read(200_000), tell(received), lab.ReadAll()))
			},
		})
	}
}
