package config

import (
	"fmt"
	"time"
)

// Defaults returns the configuration that holds when nothing is said.
//
// It changes nothing that a user of this program hunts: no idle timeout, no
// keepalive, no user timeout.
func Defaults() *Config {
	return &Config{
		Listeners: []Listener{},
		Log:       Log{Format: FormatAuto, Output: "stdout", SampleClean: 1},
		Timeouts: Timeouts{
			Connect:   10 * time.Second,
			Flush:     30 * time.Second,
			StopGrace: 10 * time.Second,
		},
		Rules: Rules{
			Placement: PlacementNone, Mark: 0x57, RouteMark: 0x52, RouteTable: 5752, // rules.DefaultMark and so on
			Sysctls: SysctlsShow, StateDir: "/run/whyreset",
		},
		Resolve:  Resolve{Interval: 30 * time.Second},
		Evidence: Evidence{Packets: SwitchAuto, Witness: SwitchAuto},
	}
}

// Complete fills in what a listener may leave out: mode forward, source own,
// guarded destinations refused, on_conflict abort-old, both directions, and the name MODE-N with the first N that no other listener bears.
func (c *Config) Complete() {
	taken, last := map[string]bool{}, map[Mode]int{}
	for _, l := range c.Listeners {
		taken[l.Name] = true
	}
	for i := range c.Listeners {
		l := &c.Listeners[i]
		if l.Mode == "" {
			l.Mode = ModeForward
		}
		if l.Source == "" {
			l.Source = SourceOwn
		}
		if l.OwnAddresses == "" {
			l.OwnAddresses = GuardRefuse
			if p := c.Rules.Placement; l.Mode != ModeForward && (p == PlacementServer || p == PlacementPod) {
				l.OwnAddresses = GuardAllow
			}
		}
		if l.LinkLocal == "" {
			l.LinkLocal = GuardRefuse
		}
		if l.Direction == "" {
			l.Direction = DirectionBoth
		}
		if l.OnConflict == "" {
			l.OnConflict = ConflictAbortOld
		}
		for l.Name == "" {
			last[l.Mode]++
			if name := fmt.Sprintf("%s-%d", l.Mode, last[l.Mode]); !taken[name] {
				l.Name = name
			}
		}
	}
}
