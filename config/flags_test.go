package config

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// parsed is a flag set with our flags and those arguments.
func parsed(t testing.TB, args ...string) *pflag.FlagSet {
	t.Helper()
	fs := pflag.NewFlagSet("whyreset", pflag.ContinueOnError)
	RegisterFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestFlagMistakes(t *testing.T) {
	const forward = "; allowed: LISTEN=UPSTREAM such as 15432=db:5432 or [::1]:15432=[2001:db8::5]:5432"
	const listen = "; allowed: IP:PORT such as 127.0.0.1:15432, [::1]:15432 or :15432"
	const upstream = "; allowed: HOST:PORT such as db:5432, 10.0.0.5:5432 or [2001:db8::5]:5432"
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"duration without unit", []string{"--timeouts.idle=5"},
			"flag --timeouts.idle: timeouts.idle: 5 has no unit; allowed: a duration with its unit, such as 500ms, 10s or 1h30m, or 0; did you mean 5s?"},
		{"word", []string{"--log.format", "text"}, "flag --log.format: log.format: text is not one of the words known here; allowed: auto, json, console"},
		{"number", []string{"--limits.connections=-1"}, "flag --limits.connections: limits.connections: -1 is out of range; allowed: a whole number from 0 to 2147483647"},
		{"ratio empty", []string{"--log.sample_clean="}, `flag --log.sample_clean: log.sample_clean: "" is empty; allowed: a number from 0 to 1`},
		{"path that a shell did not expand", []string{"--log.output=~/x"},
			`flag --log.output: log.output: "~/x" begins with "~", which only a shell makes into a path; allowed: stdout, stderr, or the path of a file (with a /)`},
		{"several", []string{"--log.format=x", "--timeouts.idle=-1s"}, "flag --log.format: log.format: x is not one of the words known here; allowed: auto, json, console\n" +
			"flag --timeouts.idle: timeouts.idle: -1s is negative; allowed: a duration with its unit, such as 500ms, 10s or 1h30m, or 0"},
		{"empty file name", []string{"--config="}, `flag --config: "" is empty; allowed: the path of a file`},
		{"forward without =", []string{"--forward=15432:db:5432"}, `flag --forward: 15432:db:5432 has no "="` + forward},
		{"forward empty", []string{"--forward="}, `flag --forward: "" has no "="` + forward},
		{"forward two in one", []string{"--forward=1=db:1,2=db:2"}, `flag --forward: "1=db:1,2=db:2" has more than one "="` + forward + "; give --forward once for each"},
		{"forward to nothing", []string{"--forward=15432="}, `flag --forward: "15432=" has nothing after the "="` + forward},
		{"forward from nothing", []string{"--forward==db:5432"}, `flag --forward: "=db:5432" has nothing before the "="` + forward},
		{"forward from a name", []string{"--forward=localhost:1=db:5432"},
			"flag --forward: listeners[0].address: localhost:1 names a host where an IP address must stand" + listen + "; did you mean 127.0.0.1:1?"},
		{"forward from no port", []string{"--forward=127.0.0.1=db"}, "flag --forward: listeners[0].address: 127.0.0.1 has no port" + listen + "\n" +
			"flag --forward: listeners[0].upstream: db has no port" + upstream},
		{"forward from a large port", []string{"--forward=70000=db:1"}, "flag --forward: listeners[0].address: 127.0.0.1:70000 has a port above 65535" + listen},
		{"forward from a free port to none", []string{"--forward=0=db"}, "flag --forward: listeners[0].upstream: db has no port" + upstream},
		{"forward from a negative port", []string{"--forward=-1=db:1"}, "flag --forward: listeners[0].address: -1 has no port" + listen},
		{"forward to port 0", []string{"--forward=1=db:0"}, "flag --forward: listeners[0].upstream: db:0 has port 0, which cannot be dialled" + upstream},
		{"forward to itself", []string{"--forward=1=1"}, "flag --forward: listeners[0].upstream: 127.0.0.1:1 is this listener itself, so that it would dial itself without end"},
		{"forward twice from one address", []string{"--forward=1=db:1", "--forward=:1=db:2"},
			"flag --forward: listeners[1].address: :1 is taken by listeners[0].address (127.0.0.1:1)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			// A forward that cannot be read is not the same as none.
			need := strings.Contains(test.name, "forward")
			_, _, err := load(Source{Flags: parsed(t, test.args...), NeedListeners: need}, nowhere, everything)
			if got := strings.TrimSuffix(lines(err), "\n"); got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestForwardForms(t *testing.T) {
	for _, test := range []struct{ text, listen, upstream string }{
		{"15432=db:5432", "127.0.0.1:15432", "db:5432"},
		{"15432=db", "127.0.0.1:15432", "db:15432"},
		{"15432=5432", "127.0.0.1:15432", "127.0.0.1:5432"},
		{"15432=:5432", "127.0.0.1:15432", "127.0.0.1:5432"},
		{"0=db:5432", "127.0.0.1:0", "db:5432"},
		{":15432=db", ":15432", "db:15432"},
		{"0.0.0.0:80=10.0.0.5", "0.0.0.0:80", "10.0.0.5:80"},
		{"10.0.0.1:80=db:5432", "10.0.0.1:80", "db:5432"},
		{"[::1]:80=[2001:db8::5]", "[::1]:80", "[2001:db8::5]:80"},
		{"[::1]:80=[2001:db8::5]:81", "[::1]:80", "[2001:db8::5]:81"},
		{"[fe80::1%eth0]:80=[fe80::2%eth0]", "[fe80::1%eth0]:80", "[fe80::2%eth0]:80"},
	} {
		t.Run(test.text, func(t *testing.T) {
			cfg, origins, err := load(Source{Flags: parsed(t, "--forward", test.text)}, nowhere, everything)
			if err != nil {
				t.Fatal(err)
			}
			want := Listener{Name: "forward-1", Mode: ModeForward, Address: test.listen, Upstream: test.upstream, Source: SourceOwn,
				OwnAddresses: GuardRefuse, LinkLocal: GuardRefuse, Direction: DirectionBoth, OnConflict: ConflictAbortOld}
			if len(cfg.Listeners) != 1 || cfg.Listeners[0] != want {
				t.Errorf("got %+v, want only %+v", cfg.Listeners, want)
			}
			for _, key := range []string{"mode", "address", "upstream"} {
				if got := origins.Of("listeners[0]." + key).String(); got != "flag --forward" {
					t.Errorf("got origin %q of %s, want the flag", got, key)
				}
			}
		})
	}
}

// A program may have other flags, and need not have all of ours.
func TestForeignFlags(t *testing.T) {
	fs := pflag.NewFlagSet("other", pflag.ContinueOnError)
	fs.Bool("verbose", false, "")
	fs.String("timeouts.idle", "", "")
	if err := fs.Parse([]string{"--verbose", "--timeouts.idle=5s"}); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := load(Source{Flags: fs}, nowhere, everything)
	if err != nil {
		t.Fatal(err)
	}
	if got := Diff(Defaults(), cfg); len(got) != 1 || got[0].Key != "timeouts.idle" || got[0].New != "5s" {
		t.Errorf("got %v, want timeouts.idle to be 5s", got)
	}
}

func TestUsage(t *testing.T) {
	fs := parsed(t)
	for _, s := range scalars(Defaults()) {
		t.Run(s.path, func(t *testing.T) {
			f := fs.Lookup(s.path)
			if f == nil {
				t.Fatal("got no flag")
			}
			doc, after, _ := strings.Cut(keyDoc[s.path], "\n")
			want := strings.TrimPrefix(doc, s.key+" is ")
			if _, zero, found := strings.Cut(after, ". "); found {
				want += " " + zero
			}
			if want = strings.TrimSuffix(want, "."); f.Usage != want || want == "" {
				t.Errorf("\n got %s\nwant %s", f.Usage, want)
			}
			if want := yamlText(s.kind, plainValue(s.value)); f.DefValue != want {
				t.Errorf("got default %s, want %s", f.DefValue, want)
			}
			// pflag would take a word in back quotes for the name of the value.
			if name, _ := pflag.UnquoteUsage(f); name != f.Value.Type() {
				t.Errorf("got value name %q, want %q", name, f.Value.Type())
			}
		})
	}
	for _, name := range []string{"config", "forward"} {
		if f := fs.Lookup(name); f == nil || f.Usage == "" {
			t.Errorf("got no usage of --%s", name)
		}
	}
}
