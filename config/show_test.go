package config

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// loadText reads a text as a file without environment and flags.
func loadText(t testing.TB, text string) *Config {
	t.Helper()
	cfg, _, err := load(Source{File: written(t, text)}, nowhere, everything)
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, text)
	}
	return cfg
}

func TestDefaultFile(t *testing.T) {
	text := DefaultYAML()
	t.Run("is the default", func(t *testing.T) {
		sameText(t, Show(loadText(t, text), nil, false), Show(Defaults(), nil, false))
	})
	t.Run("sets every key", func(t *testing.T) {
		_, origins, err := load(Source{File: written(t, text)}, nowhere, everything)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range scalars(Defaults()) {
			if origins.Of(s.path).Kind != FromFile {
				t.Errorf("got no %s, want each key", s.path)
			}
		}
	})
	t.Run("explains every key", func(t *testing.T) {
		comments := strings.Join(strings.Fields(strings.ReplaceAll(text, "#", " ")), " ")
		for _, d := range readComments(t) {
			doc := keyDoc[d.path]
			if doc == "" || !strings.Contains(comments, strings.Join(strings.Fields(doc), " ")) {
				t.Errorf("got no explanation of %s, want %q", d.path, doc)
			}
		}
	})
	t.Run("its example can be used", func(t *testing.T) {
		_, example, found := strings.Cut(text, "# For example:\n")
		if !found {
			t.Fatal("got no example")
		}
		example, _, _ = strings.Cut(example, "\n\n")
		example = regexp.MustCompile(`(?m)^#`).ReplaceAllString(example, "") + "\n"
		got := loadText(t, example).Listeners
		if len(got) != 1 || got[0] != exampleListeners[0] {
			t.Errorf("got %+v, want %+v", got, exampleListeners)
		}
	})
	t.Run("is not too wide", func(t *testing.T) {
		for _, line := range strings.Split(text, "\n") {
			if n := len([]rune(line)); n > 101 {
				t.Errorf("got %d columns, want at most 101: %s", n, line)
			}
		}
	})
}

func TestShowIsReadBack(t *testing.T) {
	c := Defaults()
	c.Listeners = []Listener{
		{Name: "on", Address: ":1", Upstream: "db:1"},
		{Name: "5432", Mode: ModeTProxy, Address: "[::1]:0", Source: SourceClientIP},
		{Name: "2026-01-01", Address: "[fe80::1%eth0]:2", Upstream: "[2001:db8::5]:2"},
		{Name: "null", Address: "127.0.0.1:3", Upstream: "1e3:3"},
	}
	c.Complete()
	c.Log.Output = `/a b: "c" # 'd' {e} [f] & * ! | > % @ ü \n ` + strings.Repeat("long ", 40) + "."
	c.Log.SampleClean = 1e-9
	c.Timeouts = Timeouts{Connect: time.Hour, Idle: 90 * time.Minute, Flush: time.Millisecond, StopGrace: 1500 * time.Millisecond, Keepalive: time.Minute, User: 61 * time.Minute}
	c.Limits = Limits{Connections: 1<<31 - 1, PerSource: 1}
	c.Admin.Address = "[::1]:9100"
	for _, withOrigin := range []bool{false, true} {
		text := Show(c, nil, withOrigin)
		if got := Show(loadText(t, text), nil, false); got != Show(c, nil, false) {
			t.Errorf("got\n%swant\n%s", got, Show(c, nil, false))
		}
	}
}

func TestShowWithOrigins(t *testing.T) {
	path := written(t, "listeners:\n  - address: 127.0.0.1:1\n    upstream: db:1\nlog:\n  format: json\n")
	cfg, origins, err := load(Source{
		File: path, Env: []string{"WHYRESET_TIMEOUTS_IDLE=1h"}, Flags: parsed(t, "--limits.connections=5"),
	}, nowhere, everything)
	if err != nil {
		t.Fatal(err)
	}
	with := Show(cfg, origins, true)
	for _, want := range []string{
		"address: 127.0.0.1:1 +# FILE:2", "upstream: db:1 +# FILE:3", "mode: forward +# default", "format: json +# FILE:5",
		"idle: 1h +# env WHYRESET_TIMEOUTS_IDLE", "connections: 5 +# flag --limits.connections", "per_source: 0 +# default",
	} {
		if got := strings.ReplaceAll(with, path, "FILE"); !regexp.MustCompile(`(?m)^[ -]*` + want + `$`).MatchString(got) {
			t.Errorf("got\n%swant a line %s", got, want)
		}
	}
	column := 0
	for _, line := range strings.Split(with, "\n") {
		if i := strings.Index(line, "# "); i >= 0 {
			if column != 0 && i != column {
				t.Errorf("got a comment in column %d, want %d as before: %s", i, column, line)
			}
			column = i
		}
	}
	without := regexp.MustCompile(`(?m) +# .*$`).ReplaceAllString(with, "")
	sameText(t, Show(cfg, origins, false), without)
}

func TestKeys(t *testing.T) {
	values := 0
	for _, d := range readComments(t) {
		if d.kind != kindSection && d.kind != kindList {
			values++
		}
	}
	keys := Keys()
	if len(keys) != values {
		t.Errorf("got %d keys, want %d", len(keys), values)
	}
	for _, k := range keys {
		inListener := strings.HasPrefix(k.Path, "listeners[].")
		if k.Doc == "" || k.Allowed == "" || (k.Env == "") != inListener {
			t.Errorf("got %+v, want documentation, what is allowed, and a variable for all but keys of listeners", k)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for _, test := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0s"}, {time.Millisecond, "1ms"}, {10 * time.Second, "10s"}, {time.Minute, "1m"}, {100 * time.Minute, "1h40m"},
		{10 * time.Hour, "10h"}, {time.Hour + time.Second, "1h0m1s"}, {time.Minute + 10*time.Second, "1m10s"},
	} {
		if got := formatDuration(test.d); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}
