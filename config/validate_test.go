package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	one := func(l Listener) func(*Config) {
		return func(c *Config) { c.Listeners = []Listener{l} }
	}
	for _, test := range []struct {
		name   string
		change func(c *Config)
		want   string
	}{
		{"defaults", func(*Config) {}, ""},
		{"a listener", one(Listener{Address: ":1", Upstream: "db:1"}), ""},
		{"a bare listener", one(Listener{}), "listeners[0].address: is missing; allowed: IP:PORT such as 127.0.0.1:15432, [::1]:15432 or :15432\n" +
			"listeners[0].upstream: is missing, and mode forward has nowhere to dial; allowed: HOST:PORT such as db:5432, 10.0.0.5:5432 or [2001:db8::5]:5432"},
		{"a duration", func(c *Config) { c.Timeouts.Idle = -time.Second },
			"timeouts.idle: -1s is negative; allowed: a duration with its unit, such as 500ms, 10s or 1h30m, or 0"},
		{"a ratio", func(c *Config) { c.Log.SampleClean = 2 }, "log.sample_clean: 2 is out of range; allowed: a number from 0 to 1"},
		{"words left out", func(c *Config) { c.Log.Format, c.Evidence.Packets = "", "" },
			"log.format: \"\" is empty; allowed: auto, json, console\nevidence.packets: \"\" is empty; allowed: auto, on, off"},
		{"a loop", one(Listener{Name: "a", Address: ":1", Upstream: "localhost.:1"}),
			"listeners[0].upstream: localhost.:1 is this listener itself, so that it would dial itself without end"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := Defaults()
			test.change(c)
			c.Complete()
			err := c.Validate()
			if got := strings.TrimSuffix(lines(err), "\n"); got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
			var all *Error
			if err != nil && !errors.As(err, &all) {
				t.Errorf("got a %T, want an *Error", err)
			}
		})
	}
}

// A configuration that Complete has not seen lacks words, which is told.
func TestValidateWithoutComplete(t *testing.T) {
	c := Defaults()
	c.Listeners = []Listener{{Address: ":1", Upstream: "db:1", OwnAddresses: GuardRefuse},
		{Address: ":2", Upstream: "db:2", Mode: ModeForward, Source: SourceOwn, OwnAddresses: GuardRefuse, LinkLocal: GuardRefuse, Direction: DirectionBoth, OnConflict: ConflictAbortOld}}
	const want = `listeners[0].mode: "" is empty; allowed: forward, redirect, tproxy` + "\n" +
		`listeners[0].source: "" is empty; allowed: own, client-ip, client` + "\n" +
		`listeners[0].link_local: "" is empty; allowed: refuse, allow` + "\n" +
		`listeners[0].direction: "" is empty; allowed: both, in, out` + "\n" +
		`listeners[0].on_conflict: "" is empty; allowed: abort-old, other-port, refuse`
	err := asError(validate(c, nil, everything, nil))
	if got := strings.TrimSuffix(lines(err), "\n"); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// Mode forward dials as itself, in this version.
func TestForwardIsNobodyElse(t *testing.T) {
	c := Defaults()
	c.Listeners = []Listener{
		{Address: ":1", Upstream: "db:1", Source: SourceClient},
		{Address: ":2", Mode: ModeTProxy, Source: SourceClient},
		{Address: ":3", Mode: ModeRedirect, Source: SourceClientIP},
	}
	c.Complete()
	const want = "listeners[0].source: client is not built in this version; allowed: own in mode forward\n"
	if got := lines(c.Validate()); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestPrefixes(t *testing.T) {
	const text = "10.0.0.0/8, 192.0.2.1,2001:db8::/32 , ::ffff:192.0.2.2"
	const want = "[10.0.0.0/8 192.0.2.1/32 2001:db8::/32 192.0.2.2/32]"
	if got := fmt.Sprint(Prefixes(text)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := Prefixes(" "); len(got) > 0 {
		t.Errorf("got %v of nothing", got)
	}
}
