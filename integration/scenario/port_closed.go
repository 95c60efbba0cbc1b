package scenario

import (
	"context"
	"net/netip"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "closed-port", Cause: "port_closed", Side: diagnose.SideUpstream,
		Story: "Nothing listens on the server's port.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			upstream, err := e.closedPort()
			if err != nil {
				return Outcome{}, err
			}
			return e.reach(ctx, upstream)
		},
	})
}

// closedPort is an address of the server's where nobody listens.
func (e *Env) closedPort() (netip.AddrPort, error) {
	if e.Net == nil { // others may be given the port meanwhile, unless it is taken
		at, free, err := lab.Occupy(e.ServerAddr())
		if err == nil {
			e.later(free)
		}
		return at, err
	}
	ln, at, err := e.Listen()
	if err == nil {
		ln.Close()
	}
	return at, err
}
