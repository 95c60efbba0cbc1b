package scenario

import (
	"context"
	"net/netip"

	"whyreset/diagnose"
)

func init() {
	register(Scenario{
		ID: "no-address", Cause: "proxy_resolve_failed", Side: diagnose.SideProxy, Ours: true, Forward: true,
		Story: "The name of the upstream has no address.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			return e.reach(ctx, netip.AddrPort{})
		},
	})
}
