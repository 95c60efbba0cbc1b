package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"whyreset/config"
)

// presence tells what changes for client and server by a proxy being there. It is no fault of the host, and never more
// than a note.
func (e *examiner) presence(context.Context) {
	note := func(id, what, why string) {
		e.add(Finding{ID: id, Area: Presence, Level: Note, What: what, Why: why})
	}
	note("early_handshake", "a client is connected before its server is", "where it would have been refused, or got no answer, it is connected and then reset")
	note("split_path", "each leg is a connection of its own: bytes are acknowledged by this host, and window, MSS, timestamps, keepalive, fast open and MPTCP do not pass through",
		"round trip times and losses are those of one leg, and a keepalive of the client keeps only its own leg alive")
	var hidden []string
	for _, l := range e.Config.Listeners {
		if l.Source == config.SourceOwn {
			hidden = append(hidden, l.Name)
		}
	}
	if len(hidden) > 0 {
		note("own_address", "the server sees this host's address (source own): "+strings.Join(hidden, ", "),
			"its logs, access lists and limits go by that address")
	}
	for _, t := range []struct {
		key  string
		set  time.Duration
		does string
	}{
		{"timeouts.idle", e.Config.Timeouts.Idle, "the proxy itself ends silent connections (proxy_idle_timeout)"},
		{"timeouts.user", e.Config.Timeouts.User, "it gives up on a silent peer sooner than the kernel would"},
		{"timeouts.keepalive", e.Config.Timeouts.Keepalive, "its probes refresh the timers of NAT boxes and firewalls, and so hide what cuts idle connections"},
	} {
		if t.set > 0 {
			note("own_timer", fmt.Sprintf("%s is %v", t.key, t.set), t.does)
		}
	}
	if n := e.Config.Limits; n.Connections > 0 || n.PerSource > 0 {
		note("own_limit", fmt.Sprintf("limits.connections is %d and limits.per_source %d (0 = none)", n.Connections, n.PerSource), "connections beyond are refused (proxy_limit)")
	}
}
