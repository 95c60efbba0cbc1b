package scenario

import (
	"context"
	"net/netip"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "no-route", Cause: "unreachable", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.Netns},
		Story: "The router between has no route to the server's address, and says so.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			nowhere := netip.MustParseAddrPort("10.99.0.1:80")
			if e.Place.IPv6 {
				nowhere = netip.MustParseAddrPort("[fd99::1]:80")
			}
			return e.reach(ctx, nowhere)
		},
	})
	register(Scenario{
		ID: "last-hop-silent", Cause: "unreachable", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.Netns},
		Story: "The router next to the server gets no answer when it asks who has the server's address, and says so.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			absent := netip.MustParseAddrPort("10.77.2.99:80")
			family := "ipv4"
			if e.Place.IPv6 {
				absent, family = netip.MustParseAddrPort("[fd77:2::99]:80"), "ipv6"
			}
			// Instead of three times with a second between.
			for key, value := range map[string]string{"mcast_solicit": "1", "retrans_time_ms": "100"} {
				if err := e.Net.Router.Sysctl("net."+family+".neigh.toserver."+key, value); err != nil {
					return Outcome{}, err
				}
			}
			return e.reach(ctx, absent)
		},
	})
}

// reach lets the client try an upstream that has no server.
func (e *Env) reach(ctx context.Context, upstream netip.AddrPort) (Outcome, error) {
	to, err := e.Through(upstream)
	if err != nil {
		return Outcome{}, err
	}
	return e.Client(ctx, to, lab.Write(100), lab.ReadAll()), nil
}
