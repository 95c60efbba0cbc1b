package proxy

import (
	"context"
	"fmt"
	"os"
	"time"

	"whyreset/config"
	"whyreset/proxy/intercept"
	"whyreset/proxy/kernel"
)

// transparent is the way of a listener of mode redirect or tproxy.
//
// Its sockets bear the mark wherever it may be of use and is allowed. Where it is not allowed, and the configured rules go by
// the mark, it does not start; rules made by somebody else would lead back here, which is refused as a loop.
func transparent(l config.Listener, r config.Rules) (intercept.Way, error) {
	way := intercept.Way{
		Mode:       map[config.Mode]intercept.Mode{config.ModeRedirect: intercept.Redirect, config.ModeTProxy: intercept.TProxy}[l.Mode],
		Source:     map[config.SourceAddr]intercept.Source{config.SourceClientIP: intercept.ClientIP, config.SourceClient: intercept.Client}[l.Source],
		OnConflict: map[config.OnConflict]intercept.OnConflict{config.ConflictOtherPort: intercept.OtherPort, config.ConflictRefuse: intercept.Refuse}[l.OnConflict],
		Policy: &intercept.Policy{
			Allow: config.Prefixes(l.Allow), Deny: config.Prefixes(l.Deny),
			Own: l.OwnAddresses == config.GuardAllow, LinkLocal: l.LinkLocal == config.GuardAllow,
		},
	}
	if marked(l, r) && kernel.MayMark(r.Mark) == 0 {
		way.Mark = r.Mark
	}
	if err := exempt(l, r, way.Mark != 0); err != nil {
		return way, err
	}
	return way, way.Policy.Refresh()
}

// exempt says whether the configured rules leave alone what this process dials.
func exempt(l config.Listener, r config.Rules, marked bool) error {
	user := os.Getuid()
	switch {
	case !outgoing(l, r) || marked || r.User != 0 && r.User == user:
		return nil
	case r.User != 0:
		return fmt.Errorf("the packet rules leave alone what user %d connects to (rules.user), and this process runs as user %d: "+
			"its connections would come back to it", r.User, user)
	}
	return fmt.Errorf("the packet rules leave alone what has mark %#x (rules.mark), which this process may not set: its connections "+
		"would come back to it; give it CAP_NET_RAW or CAP_NET_ADMIN, or let the rules go by its user with rules.user", r.Mark)
}

// outgoing says whether the configured rules take what this host itself sends.
func outgoing(l config.Listener, r config.Rules) bool {
	return r.Placement == config.PlacementClient || r.Placement == config.PlacementPod && l.Direction != config.DirectionIn
}

// refreshEvery is how long a new address of this host may go unknown.
const refreshEvery = 5 * time.Second

// refreshPolicies keeps what the policies know of this host's addresses. Where that fails the last answer holds.
func (s *Server) refreshPolicies(ctx context.Context) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, l := range s.listeners {
			if l.way.Policy != nil {
				l.way.Policy.Refresh()
			}
		}
	}
}

// goal is, for people, where a listener's connections go.
func (l *listener) goal() string {
	if l.way.Mode == intercept.Forward {
		return l.Upstream
	}
	text := fmt.Sprintf("where the client means to go (%s, source %s", l.Mode, l.Source)
	if l.way.Mark != 0 {
		text += fmt.Sprintf(", mark %#x", l.way.Mark)
	}
	return text + ")"
}
