package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// written is a file with that text.
func written(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "whyreset.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrecedence(t *testing.T) {
	path := written(t, "timeouts:\n  idle: 2s\n  connect: 2s\n  flush: 2s\nadmin:\n  address: 127.0.0.1:2\n")
	cfg, origins, err := load(Source{
		File:  path,
		Env:   []string{"WHYRESET_TIMEOUTS_CONNECT=3s", "WHYRESET_TIMEOUTS_FLUSH=3s", "WHYRESET_ADMIN_ADDRESS=", "WHYRESET_TIMEOUTS_USER=3s"},
		Flags: parsed(t, "--timeouts.flush=4s", "--timeouts.keepalive=4s", "--timeouts.keepalive=5s"),
	}, nowhere, everything)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		key       string
		got, want any
		origin    string
	}{
		{"timeouts.stop_grace", cfg.Timeouts.StopGrace, 10 * time.Second, "default"},
		{"timeouts.idle", cfg.Timeouts.Idle, 2 * time.Second, path + ":2"},
		{"timeouts.connect", cfg.Timeouts.Connect, 3 * time.Second, "env WHYRESET_TIMEOUTS_CONNECT"},
		{"timeouts.flush", cfg.Timeouts.Flush, 4 * time.Second, "flag --timeouts.flush"},
		{"timeouts.user", cfg.Timeouts.User, 3 * time.Second, "env WHYRESET_TIMEOUTS_USER"},
		{"timeouts.keepalive", cfg.Timeouts.Keepalive, 5 * time.Second, "flag --timeouts.keepalive"},
		{"admin.address", cfg.Admin.Address, "", "env WHYRESET_ADMIN_ADDRESS"},
	} {
		t.Run(test.key, func(t *testing.T) {
			if test.got != test.want {
				t.Errorf("got %v, want %v", test.got, test.want)
			}
			if got := origins.Of(test.key).String(); got != test.origin {
				t.Errorf("got origin %s, want %s", got, test.origin)
			}
		})
	}
}

func TestListenersOfFileAndFlags(t *testing.T) {
	path := written(t, "listeners:\n  - address: 127.0.0.1:1\n    upstream: db:1\n")
	cfg, origins, err := load(Source{File: path, Flags: parsed(t, "--forward=2=db", "--forward=3=db")}, nowhere, everything)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, l := range cfg.Listeners {
		got = append(got, l.Name+" "+l.Address+" "+l.Upstream+" "+origins.Of(listenerPath(i, "address")).String())
	}
	want := []string{
		"forward-1 127.0.0.1:1 db:1 " + path + ":2",
		"forward-2 127.0.0.1:2 db:2 flag --forward",
		"forward-3 127.0.0.1:3 db:3 flag --forward",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

func TestWhichFile(t *testing.T) {
	byDefault, byFlag, byName := written(t, "timeouts: {idle: 1s}\n"), written(t, "timeouts: {idle: 2s}\n"), written(t, "timeouts: {idle: 3s}\n")
	for _, test := range []struct {
		name string
		src  Source
		want time.Duration
	}{
		{"the default", Source{}, time.Second},
		{"the default beside flags", Source{Flags: parsed(t)}, time.Second},
		{"--config", Source{Flags: parsed(t, "--config", byFlag)}, 2 * time.Second},
		{"one named beside --config", Source{File: byName, Flags: parsed(t, "--config", byFlag)}, 3 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg, _, err := load(test.src, byDefault, everything)
			if err != nil {
				t.Fatal(err)
			}
			if cfg.Timeouts.Idle != test.want {
				t.Errorf("got timeouts.idle %v, want %v", cfg.Timeouts.Idle, test.want)
			}
		})
	}
}

// Every mistake of every source is told, also where a later source overrides it,
// in the order of file lines, variables, flags.
func TestAllMistakesInOrder(t *testing.T) {
	path := written(t, "timeouts:\n  idle: 5\nlog:\n  format: x\nlisteners:\n  - upstream: db:1\n")
	_, _, err := load(Source{
		File:  path,
		Env:   []string{"WHYRESET_TIMEOUTS_IDLE=6", "WHYRESET_TYPO=1"},
		Flags: parsed(t, "--timeouts.idle=7s", "--log.format=json", "--forward=1", "--limits.connections=many"),
	}, nowhere, everything)
	var all *Error
	if !errors.As(err, &all) {
		t.Fatalf("got %v, want an *Error", err)
	}
	var got []string
	for _, p := range all.Problems {
		got = append(got, strings.TrimPrefix(p.At.String(), path)+" "+p.Key)
	}
	want := []string{
		":2 timeouts.idle", ":4 log.format", ":6 listeners[0].address",
		"env WHYRESET_TIMEOUTS_IDLE timeouts.idle", "env WHYRESET_TYPO ",
		"flag --limits.connections limits.connections", "flag --forward ",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != len(want) {
		t.Errorf("got %d lines, want one for each of %d mistakes", n, len(want))
	}
}

func TestNeedListeners(t *testing.T) {
	const none = "listeners: there are none, so there is nothing to do; allowed: listeners in the file, or --forward LISTEN=UPSTREAM"
	for _, test := range []struct {
		name, file string
		args       []string
		want       string
	}{
		{name: "nothing at all", want: none},
		{name: "an empty list", file: "listeners: []\n", want: none},
		{name: "a list without items", file: "listeners:\n", want: none},
		{name: "beside another mistake", args: []string{"--log.format=x"},
			want: "flag --log.format: log.format: x is not one of the words known here; allowed: auto, json, console\n" + none},
		{name: "a misspelt list", file: "listener: []\n",
			want: "FILE:1: listener: unknown key; allowed: listeners, log, timeouts, rules, resolve, evidence, limits, admin; did you mean listeners?"},
		{name: "one", args: []string{"--forward=1=db"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := written(t, test.file)
			_, _, err := load(Source{File: path, Flags: parsed(t, test.args...), NeedListeners: true}, nowhere, everything)
			if got := strings.ReplaceAll(strings.TrimSuffix(lines(err), "\n"), path, "FILE"); got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestReload goes the way of SIGHUP: load again, keep what runs on error, put in
// force what can change, name what cannot.
func TestReload(t *testing.T) {
	path := written(t, "listeners: [{name: a, address: \"127.0.0.1:1\", upstream: \"db:1\"}]\ntimeouts: {idle: 1s}\n")
	src := Source{File: path, Flags: parsed(t, "--log.format=json")}
	running, _, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	before := Show(running, nil, false)

	rewrite := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rewrite("timeouts: {idle: 2}\n")
	if cfg, _, err := Load(src); err == nil || cfg != nil {
		t.Errorf("got %v and error %v of a wrong file, want an error alone", cfg, err)
	}
	rewrite("listeners: [{name: a, address: \"127.0.0.1:2\", upstream: \"db:1\"}]\ntimeouts: {idle: 2s}\nevidence: {packets: off}\n")
	loaded, _, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	next := Reloaded(running, loaded)
	if next.Timeouts.Idle != 2*time.Second || next.Log.Format != FormatJSON {
		t.Errorf("got idle %v and format %s, want 2s of the new file and json of the flags", next.Timeouts.Idle, next.Log.Format)
	}
	var got []string
	for _, c := range Diff(next, loaded) {
		got = append(got, c.String())
	}
	want := []string{
		"listeners[a].address: 127.0.0.1:1 → 127.0.0.1:2 (needs a restart)",
		"evidence.packets: auto → off (needs a restart)",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("\n got %q\nwant %q: what waits for a restart", got, want)
	}
	sameText(t, Show(running, nil, false), before)
}

func TestConcurrentLoad(t *testing.T) {
	path := written(t, "listeners: [{address: \"127.0.0.1:1\", upstream: \"db:1\"}]\nlog: {format: json}\n")
	src := Source{File: path, Env: []string{"WHYRESET_TIMEOUTS_IDLE=1s"}, Flags: parsed(t, "--forward=2=db", "--timeouts.flush=2s")}
	first, _, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	want := Show(first, nil, false)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 20 {
				cfg, _, err := Load(src)
				if err != nil {
					t.Error(err)
					return
				}
				if got := Show(cfg, nil, false); got != want {
					t.Errorf("got another configuration:\n%s", got)
				}
				cfg.Listeners[0].Name = "changed" // must not be seen by the others
			}
		})
	}
	group.Wait()
}
