package config

import (
	"strings"
	"testing"
	"time"
)

func TestDiff(t *testing.T) {
	base := func() *Config {
		c := Defaults()
		c.Listeners = []Listener{
			{Name: "db", Mode: ModeForward, Address: "127.0.0.1:1", Upstream: "db:1", Source: SourceOwn},
			{Name: "web", Mode: ModeTProxy, Address: ":2", Source: SourceClient},
		}
		return c
	}
	for _, test := range []struct {
		name   string
		change func(c *Config)
		want   string
	}{
		{"nothing", func(*Config) {}, ""},
		{"no list instead of an empty one", func(c *Config) { c.Listeners = append([]Listener(nil), c.Listeners...) }, ""},
		{"order of listeners", func(c *Config) { c.Listeners[0], c.Listeners[1] = c.Listeners[1], c.Listeners[0] }, ""},
		{"one of each section", func(c *Config) {
			c.Admin.Address = ":9100"
			c.Limits.Connections = 5
			c.Evidence.Witness = SwitchOff
			c.Resolve.Interval = 0
			c.Timeouts.Idle = time.Hour
			c.Timeouts.Keepalive = time.Minute
			c.Timeouts.User = time.Minute
			c.Log.Output = "stderr"
			c.Listeners[0].Upstream = "db:2"
		}, "listeners[db].upstream: db:1 → db:2 (needs a restart)\n" +
			"log.output: stdout → stderr\n" +
			"timeouts.idle: 0s → 1h\n" +
			"timeouts.keepalive: 0s → 1m (needs a restart)\n" +
			"timeouts.user: 0s → 1m (needs a restart)\n" +
			"resolve.interval: 30s → 0s\n" +
			"evidence.witness: auto → off (needs a restart)\n" +
			"limits.connections: 0 → 5\n" +
			`admin.address: "" → :9100 (needs a restart)`},
		{"a listener that came", func(c *Config) {
			c.Listeners = append(c.Listeners, Listener{Name: "new", Mode: ModeForward, Address: ":3", Upstream: "db:3"})
		}, "listeners[new]: none → forward :3 to db:3 (needs a restart)"},
		{"a listener that went", func(c *Config) { c.Listeners = c.Listeners[:1] }, "listeners[web]: tproxy :2 → none (needs a restart)"},
		{"a listener that was renamed", func(c *Config) { c.Listeners[1].Name = "www" },
			"listeners[www]: none → tproxy :2 (needs a restart)\nlisteners[web]: tproxy :2 → none (needs a restart)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			after := base()
			test.change(after)
			var got []string
			for _, c := range Diff(base(), after) {
				got = append(got, c.String())
			}
			if got := strings.Join(got, "\n"); got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
		})
	}
}

// Every key either can change while running or needs a restart, in Diff and
// in Reloaded alike.
func TestReloadedAgreesWithDiff(t *testing.T) {
	before, after := Defaults(), &Config{Listeners: []Listener{{Name: "a"}}, Timeouts: Timeouts{Keepalive: time.Minute, User: time.Minute}}
	reloaded := Reloaded(before, after)
	waiting := map[string]bool{}
	for _, c := range Diff(reloaded, after) {
		waiting[c.Key] = true
		if c.Live {
			t.Errorf("got %s still to change after a reload", c)
		}
	}
	for _, c := range Diff(before, after) {
		if !c.Live && !waiting[c.Key] {
			t.Errorf("got %s in force after a reload", c)
		}
	}
	sameText(t, Show(before, nil, false), Show(Defaults(), nil, false))
}
