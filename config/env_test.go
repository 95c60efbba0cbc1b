package config

import (
	"strings"
	"testing"
	"time"
)

func TestEnvMistakes(t *testing.T) {
	const duration = "; allowed: a duration with its unit, such as 500ms, 10s or 1h30m, or 0"
	const forward = "; allowed: the file, or --forward LISTEN=UPSTREAM"
	for _, test := range []struct{ name, env, want string }{
		{"misspelt", "WHYRESET_LOG_FROMAT=json", "env WHYRESET_LOG_FROMAT: json is set, and no key has this variable; did you mean WHYRESET_LOG_FORMAT?"},
		{"misspelt beyond guessing", "WHYRESET_COLOUR=blue", "env WHYRESET_COLOUR: blue is set, and no key has this variable"},
		{"lower case", "whyreset_log_format=json", "env whyreset_log_format: json is set, and no key has this variable; did you mean WHYRESET_LOG_FORMAT?"},
		{"without section", "WHYRESET_FORMAT=json", "env WHYRESET_FORMAT: json is set, and no key has this variable"},
		{"underscore left out", "WHYRESET_TIMEOUTS_STOPGRACE=5s", "env WHYRESET_TIMEOUTS_STOPGRACE: 5s is set, and no key has this variable; did you mean WHYRESET_TIMEOUTS_STOP_GRACE?"},
		{"the prefix alone", "WHYRESET_=x", "env WHYRESET_: x is set, and no key has this variable"},
		{"a whole section", "WHYRESET_LOG=json",
			"env WHYRESET_LOG: json log is a section and has no value of its own; allowed: WHYRESET_LOG_FORMAT, WHYRESET_LOG_OUTPUT, WHYRESET_LOG_SAMPLE_CLEAN, WHYRESET_LOG_START_AFTER"},
		{"all listeners", "WHYRESET_LISTENERS=[]", "env WHYRESET_LISTENERS: [] listeners cannot be set by variables" + forward},
		{"one listener", "WHYRESET_LISTENERS_0_ADDRESS=127.0.0.1:1", "env WHYRESET_LISTENERS_0_ADDRESS: 127.0.0.1:1 listeners cannot be set by variables" + forward},
		{"an item of a flag", "WHYRESET_FORWARD=1=db:1", `env WHYRESET_FORWARD: "1=db:1" is set, and no key has this variable`},
		{"duration without unit", "WHYRESET_TIMEOUTS_IDLE=5", "env WHYRESET_TIMEOUTS_IDLE: timeouts.idle: 5 has no unit" + duration + "; did you mean 5s?"},
		{"duration with space", "WHYRESET_TIMEOUTS_IDLE=5s ", `env WHYRESET_TIMEOUTS_IDLE: timeouts.idle: "5s " is not a duration` + duration + "; did you mean 5s?"},
		{"duration empty", "WHYRESET_TIMEOUTS_IDLE=", `env WHYRESET_TIMEOUTS_IDLE: timeouts.idle: "" is empty` + duration},
		{"word empty", "WHYRESET_LOG_FORMAT=", `env WHYRESET_LOG_FORMAT: log.format: "" is empty; allowed: auto, json, console`},
		{"word in quotes", `WHYRESET_LOG_FORMAT="json"`,
			`env WHYRESET_LOG_FORMAT: log.format: "\"json\"" is not one of the words known here; allowed: auto, json, console; did you mean json?`},
		{"truth for a switch", "WHYRESET_EVIDENCE_PACKETS=1", "env WHYRESET_EVIDENCE_PACKETS: evidence.packets: 1 is not one of the words known here; allowed: auto, on, off; did you mean on?"},
		{"number empty", "WHYRESET_LIMITS_CONNECTIONS=", `env WHYRESET_LIMITS_CONNECTIONS: limits.connections: "" is empty; allowed: a whole number from 0 to 2147483647`},
		{"number with zeros", "WHYRESET_LIMITS_CONNECTIONS=010",
			"env WHYRESET_LIMITS_CONNECTIONS: limits.connections: 010 is not a whole number in decimal digits; allowed: a whole number from 0 to 2147483647"},
		{"ratio empty", "WHYRESET_LOG_SAMPLE_CLEAN=", `env WHYRESET_LOG_SAMPLE_CLEAN: log.sample_clean: "" is empty; allowed: a number from 0 to 1`},
		{"ratio in the form of another country", "WHYRESET_LOG_SAMPLE_CLEAN=0,5", `env WHYRESET_LOG_SAMPLE_CLEAN: log.sample_clean: "0,5" is not a number; allowed: a number from 0 to 1`},
		{"address", "WHYRESET_ADMIN_ADDRESS=localhost:9100",
			"env WHYRESET_ADMIN_ADDRESS: admin.address: localhost:9100 names a host where an IP address must stand; allowed: IP:PORT such as 127.0.0.1:15432, [::1]:15432 or :15432; did you mean 127.0.0.1:9100?"},
		{"not UTF-8", "WHYRESET_LOG_OUTPUT=/gr\xf6\xdfe", `env WHYRESET_LOG_OUTPUT: log.output: "/gr\xf6\xdfe" is not valid UTF-8; allowed: stdout, stderr, or the path of a file (with a /)`},
		{"escape sequence in a name", "WHYRESET_\x1b[2J=1", `"env WHYRESET_\x1b[2J": 1 is set, and no key has this variable`},
		{"almost as in Kubernetes", "WHYRESET_PORT=9100", "env WHYRESET_PORT: 9100 is set, and no key has this variable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := load(Source{Env: []string{test.env}}, nowhere, everything)
			if got := strings.TrimSuffix(lines(err), "\n"); got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
		})
	}
}

// Every key outside lists has its variable, and the variable reaches the key.
func TestEnvOfEachKey(t *testing.T) {
	values := map[kind]string{kindDuration: "7s", kindCount: "7", kindRatio: "0.7", kindMark: "0x7"}
	texts := map[string]string{
		"log.format": "console", "log.output": "/dev/null", "evidence.packets": "off", "evidence.witness": "off", "admin.address": "127.0.0.1:7",
		"rules.placement": "router", "rules.sysctls": "set", "rules.state_dir": "/run/7",
	}
	for _, s := range scalars(Defaults()) {
		t.Run(s.path, func(t *testing.T) {
			want := values[s.kind]
			if want == "" {
				want = texts[s.path]
			}
			name := "WHYRESET_" + strings.ToUpper(strings.ReplaceAll(s.path, ".", "_"))
			cfg, origins, err := load(Source{Env: []string{name + "=" + want}}, nowhere, everything)
			if err != nil {
				t.Fatal(err)
			}
			changes := Diff(Defaults(), cfg)
			if len(changes) != 1 || changes[0].Key != s.path || changes[0].New != want {
				t.Errorf("got changes %v, want only %s to be %s", changes, s.path, want)
			}
			if got := origins.Of(s.path).String(); got != "env "+name {
				t.Errorf("got origin %q, want that it came from %s", got, name)
			}
		})
	}
}

func TestEnvIgnored(t *testing.T) {
	for _, test := range []struct {
		name string
		env  []string
	}{
		{"others", []string{"PATH=/bin", "LOG_FORMAT=json", "WHYRESETTER=1", "WHYRESET=1", "no equals sign", "=C:=x"}},
		{"tests of this repository", []string{"WHYRESET_TEST_REQUIRE=netns", "WHYRESET_LAB=here", "WHYRESET_LAB_REPORT=3"}},
		// As set for a Service "whyreset" with a port named "admin", and one named "whyreset-admin".
		{"links to services of Kubernetes", []string{
			"WHYRESET_SERVICE_HOST=10.96.0.5",
			"WHYRESET_SERVICE_PORT=9100",
			"WHYRESET_SERVICE_PORT_ADMIN=9100",
			"WHYRESET_PORT=tcp://10.96.0.5:9100",
			"WHYRESET_PORT_9100_TCP=tcp://10.96.0.5:9100",
			"WHYRESET_PORT_9100_TCP_PROTO=tcp",
			"WHYRESET_PORT_9100_TCP_PORT=9100",
			"WHYRESET_PORT_9100_TCP_ADDR=10.96.0.5",
			"WHYRESET_ADMIN_SERVICE_HOST=10.96.0.6",
			"WHYRESET_ADMIN_SERVICE_PORT=9100",
			"WHYRESET_ADMIN_PORT=tcp://10.96.0.6:9100",
			"WHYRESET_ADMIN_PORT_9100_UDP_ADDR=10.96.0.6",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg, _, err := load(Source{Env: test.env}, nowhere, everything)
			if err != nil {
				t.Fatal(err)
			}
			sameText(t, Show(cfg, nil, false), Show(Defaults(), nil, false))
		})
	}
}

func TestEnvTwice(t *testing.T) {
	cfg, _, err := load(Source{Env: []string{"WHYRESET_TIMEOUTS_IDLE=1s", "WHYRESET_TIMEOUTS_IDLE=2s"}}, nowhere, everything)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := cfg.Timeouts.Idle, time.Second; got != want {
		t.Errorf("got %v, want %v: getenv(3) finds the first", got, want)
	}
}
