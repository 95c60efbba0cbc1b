package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"whyreset/config"
	"whyreset/proxy/rules"
)

// Each way to be transparent is taken from a file, or refused with its reason and what to use instead.
func TestConfigOfEachTriple(t *testing.T) {
	for _, triple := range rules.Triples {
		t.Run(fmt.Sprintf("%s %s %s", triple.Placement, triple.Mode, triple.Source), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "whyreset.yaml")
			text := fmt.Sprintf("rules: {placement: %s}\nlisteners:\n  - {name: all, mode: %s, source: %s, address: \":15001\", ports: 80-89}\n",
				triple.Placement, triple.Mode, triple.Source)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, _, err := config.Load(config.Source{File: file, Check: checkRules})
			if triple.Reason != "" {
				if err == nil || !strings.Contains(err.Error(), ":3: listeners[0].source: "+string(triple.Source)+" cannot be") {
					t.Errorf("got %v, want it refused at its line", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			plan, err := rulesPlan(cfg)
			if err != nil {
				t.Fatal(err)
			}
			c := plan.Settings().Captures[0]
			if c.Name != "all" || c.Mode != triple.Mode || c.Source != triple.Source || c.Port != 15001 || len(c.Ports) != 1 || c.Ports[0] != (rules.PortRange{First: 80, Last: 89}) {
				t.Errorf("got capture %+v, want what the file says", c)
			}
		})
	}
}

// All that a listener says reaches the plan, and listeners of different modes share one.
func TestPlanOfSeveralListeners(t *testing.T) {
	file := filepath.Join(t.TempDir(), "whyreset.yaml")
	text := `rules: {placement: pod, mark: 0x99, user: 1000, route_mark: 0x98, route_table: 77, sysctls: set}
listeners:
  - {name: in, mode: tproxy, address: ":15001", ports: 80, direction: in, interfaces: "eth0, veth*", deny: 10.0.0.0/8}
  - {name: fixed, address: "127.0.0.1:1", upstream: "db:1"}
  - {name: out, mode: redirect, address: ":15002", ports: "5432, 6000-6999", direction: out, allow: "192.0.2.0/24", link_local: allow}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Load(config.Source{File: file, Check: checkRules})
	if err != nil {
		t.Fatal(err)
	}
	s := rulesSettings(cfg)
	if s.Placement != rules.Pod || s.Mark != 0x99 || s.User == nil || *s.User != 1000 || s.RouteMark != 0x98 || s.RouteTable != 77 || !s.SetSysctls || len(s.Captures) != 2 {
		t.Errorf("got %+v", s)
	}
	got := fmt.Sprintf("%+v", s.Captures)
	want := "[{Name:in Mode:tproxy Source:own Port:15001 Ports:[{First:80 Last:80}] Interfaces:[eth0 veth*] Allow:[] Deny:[10.0.0.0/8] Own:false LinkLocal:false Only:in}" +
		" {Name:out Mode:redirect Source:own Port:15002 Ports:[{First:5432 Last:5432} {First:6000 Last:6999}] Interfaces:[] Allow:[192.0.2.0/24] Deny:[] Own:false LinkLocal:true Only:out}]"
	if got != want {
		t.Errorf("got captures\n%s\nwant\n%s", got, want)
	}
}
