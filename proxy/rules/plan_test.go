package rules_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"whyreset/proxy/intercept"
	"whyreset/proxy/rules"
)

func TestTriplesAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, triple := range rules.Triples {
		key := fmt.Sprint(triple.Placement, triple.Mode, triple.Source)
		if seen[key] {
			t.Errorf("%s stands there twice", key)
		}
		seen[key] = true
		err := rules.Possible(triple.Placement, triple.Mode, triple.Source)
		if triple.Reason == "" && err != nil || triple.Reason != "" && (err == nil || !strings.Contains(err.Error(), triple.Reason)) {
			t.Errorf("%s: got %v, want the reason %q", key, err, triple.Reason)
		}
	}
	for _, p := range []rules.Placement{rules.Router, rules.Server, rules.Client, rules.Pod} {
		for _, m := range []rules.Mode{rules.TProxy, rules.Redirect} {
			for _, s := range []rules.Source{rules.SourceOwn, rules.SourceClientIP, rules.SourceClient} {
				if key := fmt.Sprint(p, m, s); !seen[key] {
					t.Errorf("%s is missing", key)
				}
			}
		}
	}
	if err := rules.Possible("roof", rules.TProxy, rules.SourceOwn); err == nil || !strings.Contains(err.Error(), "allowed are") {
		t.Errorf("a placement that does not exist: got %v", err)
	}
}

func plain(change func(*rules.Settings)) rules.Settings {
	s := rules.Settings{Placement: rules.Client, Mark: rules.DefaultMark, Captures: []rules.Capture{{
		Name: "db", Mode: rules.Redirect, Source: rules.SourceOwn, Port: 15001, Ports: []rules.PortRange{{First: 5432, Last: 5432}}}}}
	change(&s)
	return s
}

func TestRefusedSettings(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*rules.Settings)
		want   string
	}{
		{"no exemption", func(s *rules.Settings) { s.Mark = 0 }, "come back to it without end"},
		{"no exemption in a pod", func(s *rules.Settings) { s.Mark, s.Placement = 0, rules.Pod }, "come back to it without end"},
		{"no mark for the way back", func(s *rules.Settings) {
			s.Mark, s.Placement, s.Captures[0].Source = 0, rules.Server, rules.SourceClientIP
		}, "needs a mark"},
		{"impossible", func(s *rules.Settings) { s.Captures[0].Source = rules.SourceClient }, "keeps only one such"},
		{"marks alike", func(s *rules.Settings) { s.RouteMark = s.Mark }, "use two different marks"},
		{"the main routing table", func(s *rules.Settings) { s.RouteTable = 254 }, "is the host's own"},
		{"table", func(s *rules.Settings) { s.Table = "why reset" }, "allowed are a letter"},
		{"nothing to take", func(s *rules.Settings) { s.Captures = nil }, "no captures"},
		{"no name", func(s *rules.Settings) { s.Captures[0].Name = "" }, "allowed are 1 to 63"},
		{"no port", func(s *rules.Settings) { s.Captures[0].Port = 0 }, "port of the listener"},
		{"no ports", func(s *rules.Settings) { s.Captures[0].Ports = nil }, "no destination ports"},
		{"ports the wrong way round", func(s *rules.Settings) { s.Captures[0].Ports = []rules.PortRange{{First: 9, Last: 8}} }, "the smaller one first"},
		{"its own port", func(s *rules.Settings) {
			s.Placement, s.Captures[0].Ports = rules.Server, []rules.PortRange{{First: 1, Last: 65535}}
		}, "let it listen on another one"},
		{"interface", func(s *rules.Settings) { s.Captures[0].Interfaces = []string{"eth0; flush"} }, "interface \"eth0; flush\""},
		{"allow list of the other family", func(s *rules.Settings) {
			s.IPv4, s.Captures[0].Allow = true, []netip.Prefix{netip.MustParsePrefix("fd00::/8")}
		}, "nothing would be taken"},
		{"prefix", func(s *rules.Settings) { s.Captures[0].Deny = []netip.Prefix{{}} }, "a prefix is not valid"},
		{"direction", func(s *rules.Settings) { s.Captures[0].Only = rules.In }, "with placement pod"},
		{"own addresses", func(s *rules.Settings) { s.Captures[0].Own = true }, "placement router alone"},
		{"one name twice", func(s *rules.Settings) {
			other := s.Captures[0]
			other.Ports = []rules.PortRange{{First: 1, Last: 1}}
			s.Captures = append(s.Captures, other)
		}, "is there twice"},
		{"one port twice", func(s *rules.Settings) {
			other := s.Captures[0]
			other.Name, other.Ports = "other", []rules.PortRange{{First: 5000, Last: 6000}}
			s.Captures[0].Interfaces = []string{"eth0"}
			other.Interfaces = []string{"eth*"}
			s.Captures = append(s.Captures, other)
		}, "can go to only one listener"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := rules.New(plain(test.change))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
	_, err := rules.New(plain(func(s *rules.Settings) { s.RouteTable, s.Captures[0].Port, s.Captures[0].Ports = 254, 0, nil }))
	for _, want := range []string{"host's own", "port of the listener", "no destination ports"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("several mistakes: got %v, want %q among them", err, want)
		}
	}
}

func TestPlanTellsWhatItTakes(t *testing.T) {
	user := uint32(1000)
	for _, test := range []struct {
		name         string
		change       func(*rules.Settings)
		open         bool
		capabilities int
		exemption    string
		sysctls      int
		routes       bool
	}{
		{"client", func(*rules.Settings) {}, false, 1, "mark 0x57", 0, false},
		{"client, by user", func(s *rules.Settings) { s.Mark, s.User = 0, &user }, false, 0, "user 1000", 0, false},
		{"client, by either", func(s *rules.Settings) { s.User = &user }, false, 0, "user 1000", 0, false},
		{"server, marked", func(s *rules.Settings) { s.Placement = rules.Server }, false, 0, "other than lo", 0, false},
		{"client tproxy", func(s *rules.Settings) { s.Captures[0].Mode = rules.TProxy }, false, 1, "mark 0x57", 0, true},
		{"server", func(s *rules.Settings) { s.Placement, s.Mark = rules.Server, 0 }, false, 0, "other than lo", 0, false},
		{"server tproxy", func(s *rules.Settings) { s.Placement, s.Captures[0].Mode = rules.Server, rules.TProxy }, true, 1, "other than lo", 0, false},
		{"router", func(s *rules.Settings) { s.Placement, s.Mark, s.IPv4 = rules.Router, 0, true }, false, 0, "other than lo", 1, false},
		{"router tproxy", func(s *rules.Settings) { s.Placement, s.Captures[0].Mode = rules.Router, rules.TProxy }, true, 1, "other than lo", 2, true},
		{"pod tproxy", func(s *rules.Settings) { s.Placement, s.Captures[0].Mode = rules.Pod, rules.TProxy }, false, 1, "mark 0x57", 0, true},
		{"pod tproxy, in", func(s *rules.Settings) {
			s.Placement, s.Captures[0].Mode, s.Captures[0].Only = rules.Pod, rules.TProxy, rules.In
		}, true, 1, "other than lo", 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			plan, err := rules.New(plain(test.change))
			if err != nil {
				t.Fatal(err)
			}
			script := plan.Script()
			dead := plan.WhenDead()[0]
			if dead.Open != test.open || !strings.Contains(script, dead.Text) {
				t.Errorf("when dead: got %+v, want open: %v, and the script to say so", dead, test.open)
			}
			if got := plan.Capabilities(); len(got) != test.capabilities {
				t.Errorf("capabilities: got %q, want %d", got, test.capabilities)
			}
			if got := plan.Exemption(); !strings.Contains(got, test.exemption) || !strings.Contains(script, got) {
				t.Errorf("exemption: got %q, want it to have %q, and the script to say so", got, test.exemption)
			}
			if got := plan.Sysctls(); len(got) != test.sysctls {
				t.Errorf("sysctls: got %v, want %d", got, test.sysctls)
			}
			if got := strings.Contains(script, "ip -4 route add local"); got != test.routes {
				t.Errorf("routes in the script: got %v, want %v", got, test.routes)
			}
		})
	}
}

// Settings are asked for as a value: what a plan was made from cannot be changed behind its back.
func TestScriptIsAlwaysTheSame(t *testing.T) {
	s := plain(func(s *rules.Settings) {
		s.Placement = rules.Pod
		s.Captures = append(s.Captures, rules.Capture{Name: "web", Mode: rules.TProxy, Source: rules.SourceClientIP, Port: 15002, Ports: []rules.PortRange{{First: 80, Last: 80}}})
	})
	var all []string
	for range 20 {
		plan, err := rules.New(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, plan.Script())
	}
	if len(slices.Compact(all)) != 1 {
		t.Error("one and the same settings gave different scripts")
	}
}

// What rules leave alone by themselves the proxy refuses by itself: two lists that must be one.
func TestGuardedDestinationsAreThoseOfThePolicy(t *testing.T) {
	plan, err := rules.New(plain(func(*rules.Settings) {}))
	if err != nil {
		t.Fatal(err)
	}
	way := &intercept.Way{Mode: intercept.TProxy, Policy: &intercept.Policy{}}
	script := plan.Script()
	for _, set := range []string{"deny4-db", "deny6-db"} {
		_, after, found := strings.Cut(script, "set "+set)
		_, after, _ = strings.Cut(after, "elements = { ")
		elements, _, _ := strings.Cut(after, " }")
		if !found || elements == "" {
			t.Fatalf("no set %s in\n%s", set, script)
		}
		for _, text := range strings.Split(elements, ", ") {
			address, _, _ := strings.Cut(text, "/")
			if _, why := way.Aim(-1, netip.AddrPortFrom(netip.MustParseAddr(address), 80)); why != intercept.LinkLocal {
				t.Errorf("%s: the policy says %q, want %q", text, why, intercept.LinkLocal)
			}
		}
	}
}
