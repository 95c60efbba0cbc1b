package proxy

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"whyreset/config"
	"whyreset/proxy/kernel"
	"whyreset/proxy/rules"
)

// What a configuration may ask for is what is possible in some placement.
func TestConfigAllowsWhatIsPossible(t *testing.T) {
	for _, mode := range []config.Mode{config.ModeRedirect, config.ModeTProxy} {
		for _, source := range []config.SourceAddr{config.SourceOwn, config.SourceClientIP, config.SourceClient} {
			possible := false
			for _, place := range []rules.Placement{rules.Router, rules.Server, rules.Client, rules.Pod} {
				possible = possible || rules.Possible(place, rules.Mode(mode), rules.Source(source)) == nil
			}
			cfg := config.Defaults()
			cfg.Listeners = []config.Listener{{Mode: mode, Source: source, Address: ":15001"}}
			cfg.Complete()
			if err := cfg.Validate(); (err == nil) != possible {
				t.Errorf("mode %s, source %s: got %v, possible %v", mode, source, err, possible)
			}
		}
	}
}

func TestDefaultsAreThoseOfTheRules(t *testing.T) {
	got := config.Defaults().Rules
	if got.Mark != rules.DefaultMark || got.RouteMark != rules.DefaultRouteMark || got.RouteTable != rules.DefaultRouteTable {
		t.Errorf("got %+v, want mark %#x, route mark %#x, table %d", got, rules.DefaultMark, rules.DefaultRouteMark, rules.DefaultRouteTable)
	}
}

// A proxy whose own connections the rules would lead back to it does not start.
func TestNoStartWithoutExemption(t *testing.T) {
	for _, test := range []struct {
		name      string
		placement config.Placement
		direction config.Direction
		user      int
		refused   bool
	}{
		{"client, another user", config.PlacementClient, config.DirectionBoth, os.Getuid() + 1, true},
		{"client, this user", config.PlacementClient, config.DirectionBoth, os.Getuid(), os.Getuid() == 0}, // rules.user 0 is none
		{"pod, another user", config.PlacementPod, config.DirectionOut, os.Getuid() + 1, true},
		{"pod, incoming", config.PlacementPod, config.DirectionIn, 0, false},
		{"router", config.PlacementRouter, config.DirectionBoth, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := config.Defaults()
			cfg.Rules.Placement, cfg.Rules.Mark, cfg.Rules.User = test.placement, 0, test.user
			cfg.Listeners = []config.Listener{{Mode: config.ModeRedirect, Address: "127.0.0.1:0", Ports: "80", Direction: test.direction}}
			cfg.Complete()
			s, err := New(cfg, newTold())
			if err == nil {
				s.Start()
				s.Stop(t.Context())
			}
			if refused := err != nil && strings.Contains(err.Error(), "its connections would come back to it"); refused != test.refused || !refused && err != nil {
				t.Errorf("got %v, want it refused: %v", err, test.refused)
			}
		})
	}
}

// A connection straight to a transparent listener is refused, and the record says why.
func TestNotRedirected(t *testing.T) {
	s, log := start(t, func(c *config.Config) {
		c.Listeners[0] = config.Listener{Name: "test", Mode: config.ModeRedirect, Address: "127.0.0.1:0"}
		c.Complete()
	})
	if n := next(t, log.notices); !strings.Contains(n.Message, "to where the client means to go (redirect, source own") {
		t.Errorf("got %q", n.Message)
	}
	c, err := net.Dial("tcp", s.Addresses()["test"].String())
	if err == nil {
		c.Close()
	}
	r := next(t, log.ended)
	if r.Verdict.Cause != "proxy_refused" || !strings.Contains(r.Verdict.Sentence, "straight to the listener") || r.Destination.IsValid() || r.Target != "" {
		t.Errorf("got %s: %s, destination %v, target %q", r.Verdict.Cause, r.Verdict.Sentence, r.Destination, r.Target)
	}
}

// Without the right to be transparent there is no start, and it is told what is missing.
func TestTProxyNeedsARight(t *testing.T) {
	if kernel.MayMark(1) == 0 {
		t.Skip("needs a process without CAP_NET_ADMIN and CAP_NET_RAW")
	}
	cfg := config.Defaults()
	cfg.Listeners = []config.Listener{{Mode: config.ModeTProxy, Address: "127.0.0.1:0"}}
	cfg.Complete()
	_, err := New(cfg, newTold())
	var listen *ListenError
	if !errors.As(err, &listen) || !errors.Is(err, syscall.EPERM) || !strings.Contains(listen.Hint(), "CAP_NET_RAW") {
		t.Errorf("got %v, want EPERM with a hint at the capability", err)
	}
}
