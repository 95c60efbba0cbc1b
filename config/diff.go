package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Change is one difference between two configurations.
type Change struct {
	// Key is the path of the value: "log.format". Listeners go by name, because
	// their order means nothing: "listeners[db].upstream", or "listeners[db]"
	// for one that came or went.
	Key string
	// Old and New are the values as in the file; for a listener that came or
	// went a summary and "".
	Old, New string
	// Live says that the change can be made while running: log, timeouts but
	// keepalive and user, resolve, limits. The rest needs a restart.
	Live bool
}

// String is "log.format: auto → json", with a note where a restart is needed.
func (c Change) String() string {
	s := fmt.Sprintf("%s: %s → %s", c.Key, orNone(c.Old), orNone(c.New))
	if !c.Live {
		s += " (needs a restart)"
	}
	return s
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// live says which keys can change while running: whole sections, but for what
// the listening sockets hand on to those they accept. What is not named here
// needs a restart: opening sockets and gaining privileges belong to the start.
func live(path string) bool {
	switch path {
	case "timeouts.keepalive", "timeouts.user", "log.start_after":
		return false
	}
	switch section, _, _ := strings.Cut(path, "."); section {
	case "log", "timeouts", "resolve", "limits":
		return true
	}
	return false
}

// Diff lists what differs between two configurations, in the order of the file.
// It is empty when both mean the same.
func Diff(before, after *Config) []Change {
	changes := diffListeners(before.Listeners, after.Listeners)
	was, is := scalars(before), scalars(after)
	for i, s := range is {
		a, b := yamlText(s.kind, plainValue(was[i].value)), yamlText(s.kind, plainValue(s.value))
		if a != b {
			changes = append(changes, Change{Key: s.path, Old: a, New: b, Live: live(s.path)})
		}
	}
	return changes
}

// Reloaded is running with those values of loaded that can change while running:
// what holds after a reload. What Diff still finds between it and loaded waits
// for a restart.
func Reloaded(running, loaded *Config) *Config {
	next := *running
	from := scalars(loaded)
	for i, s := range scalars(&next) {
		if live(s.path) {
			s.value.Set(from[i].value)
		}
	}
	return &next
}

func diffListeners(before, after []Listener) []Change {
	var changes []Change
	was := map[string]Listener{}
	for _, l := range before {
		was[l.Name] = l
	}
	is := map[string]bool{}
	for _, l := range after {
		is[l.Name] = true
		old, ok := was[l.Name]
		if !ok {
			changes = append(changes, Change{Key: "listeners[" + l.Name + "]", New: summary(l)})
			continue
		}
		for _, f := range listenerFields() {
			a := yamlText(f.kind, plainValue(reflect.ValueOf(old).Field(f.index)))
			b := yamlText(f.kind, plainValue(reflect.ValueOf(l).Field(f.index)))
			if a != b {
				changes = append(changes, Change{Key: "listeners[" + l.Name + "]." + f.key, Old: a, New: b})
			}
		}
	}
	for _, l := range before {
		if !is[l.Name] {
			changes = append(changes, Change{Key: "listeners[" + l.Name + "]", Old: summary(l)})
		}
	}
	return changes
}

func summary(l Listener) string {
	s := string(l.Mode) + " " + l.Address
	if l.Upstream != "" {
		s += " to " + l.Upstream
	}
	return s
}
