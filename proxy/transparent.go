package proxy

import (
	"context"
	"fmt"
	"time"

	"whyreset/config"
	"whyreset/proxy/intercept"
	"whyreset/proxy/kernel"
)

// transparent is the way of a listener of mode redirect or tproxy.
//
// Its sockets bear the mark wherever that is allowed. Where it is not, rules that go by the mark would lead back here, which
// is refused as a loop; rules that go by the user need none.
func transparent(l config.Listener) (intercept.Way, error) {
	way := intercept.Way{
		Mode:   map[config.Mode]intercept.Mode{config.ModeRedirect: intercept.Redirect, config.ModeTProxy: intercept.TProxy}[l.Mode],
		Source: map[config.SourceAddr]intercept.Source{config.SourceClientIP: intercept.ClientIP, config.SourceClient: intercept.Client}[l.Source],
		Policy: &intercept.Policy{
			Allow: config.Prefixes(l.Allow), Deny: config.Prefixes(l.Deny),
			Own: l.OwnAddresses == config.GuardAllow, LinkLocal: l.LinkLocal == config.GuardAllow,
		},
	}
	if kernel.MayMark(intercept.DefaultMark) == 0 {
		way.Mark = intercept.DefaultMark
	}
	return way, way.Policy.Refresh()
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
