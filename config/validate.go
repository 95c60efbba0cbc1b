package config

import (
	"fmt"
	"reflect"
)

// Validate checks a configuration that was made by hand or has been changed;
// Load has done it already. The error, if any, is an *Error with every mistake.
func (c *Config) Validate() error {
	return asError(validate(c, nil, built, nil))
}

// validate returns what is wrong beside the earlier problems and their consequences.
func validate(c *Config, origins Origins, s supported, earlier []Problem) []Problem {
	v := validator{Config: c, origins: origins, supported: s, failed: failedIn(earlier)}
	for _, sc := range scalars(c) {
		v.check(sc.path, sc.field, sc.value)
	}
	for i := range c.Listeners {
		for _, f := range listenerFields() {
			v.check(listenerPath(i, f.key), f, reflect.ValueOf(c.Listeners[i]).Field(f.index))
		}
		v.required(i)
		v.transparent(i)
	}
	v.rules()
	v.names()
	v.addresses()
	v.loops()
	return v.problems
}

type validator struct {
	*Config
	origins   Origins
	supported supported
	failed    failed
	problems  []Problem
}

// check applies the rules for one value by itself.
func (v *validator) check(path string, f field, value reflect.Value) {
	if v.failed.has(path) {
		return
	}
	plain := plainValue(value)
	if bad := check(f, plain, v.supported); bad != nil {
		text := plainText(plain)
		v.fail(path, &text, bad)
	}
}

func (v *validator) fail(path string, value *string, f *fault) {
	p := Problem{Key: path, What: f.what, Allowed: f.allowed, Suggest: f.suggest}
	if value != nil {
		p.Value, p.Valued = *value, true
	}
	p.At = v.origins.nearest(path)
	v.problems = append(v.problems, p)
	v.failed.add(p)
}

// required checks which addresses a listener of its mode must have.
func (v *validator) required(i int) {
	l := v.Listeners[i]
	if path := listenerPath(i, "address"); l.Address == "" && !v.failed.has(path) {
		v.fail(path, nil, &fault{what: "is missing", allowed: allowed(field{path: "listeners[].address"})})
	}
	if v.failed.has(listenerPath(i, "mode")) {
		return // what the upstream must be depends on it
	}
	path := listenerPath(i, "upstream")
	switch {
	case v.failed.has(path):
	case l.Mode == ModeForward && l.Upstream == "":
		v.fail(path, nil, &fault{what: "is missing, and mode forward has nowhere to dial", allowed: allowed(field{path: "listeners[].upstream"})})
	case l.Mode != ModeForward && l.Upstream != "":
		v.fail(path, &l.Upstream, &fault{what: fmt.Sprintf("has no use in mode %s, which dials where the client meant to go", l.Mode), allowed: "mode forward, or no upstream"})
	}
}

// transparent checks what goes with which mode.
func (v *validator) transparent(i int) {
	l := v.Listeners[i]
	if v.failed.has(listenerPath(i, "mode")) {
		return
	}
	source := string(l.Source)
	switch path := listenerPath(i, "source"); {
	case v.failed.has(path):
	case l.Mode == ModeForward && l.Source != SourceOwn && !v.supported.spoof:
		v.fail(path, &source, notBuilt("own in mode forward"))
	case l.Mode == ModeRedirect && l.Source == SourceClient:
		v.fail(path, &source, &fault{what: "cannot be in mode redirect, whose connection tracking would take the second connection with the " +
			"client's address and port for the first one", allowed: "own, client-ip, or mode tproxy"})
	}
	onConflict := string(l.OnConflict)
	if path := listenerPath(i, "on_conflict"); l.Source != SourceClient && l.OnConflict != ConflictAbortOld &&
		!v.failed.has(path) && !v.failed.has(listenerPath(i, "source")) {
		v.fail(path, &onConflict, &fault{what: fmt.Sprintf("has no use with source %s, which takes any free port", l.Source),
			allowed: "source client, or the default"})
	}
	if l.Mode != ModeForward {
		return
	}
	for _, k := range [...]struct{ key, text, usual string }{
		{"allow", l.Allow, ""}, {"deny", l.Deny, ""},
		{"own_addresses", string(l.OwnAddresses), string(GuardRefuse)}, {"link_local", string(l.LinkLocal), string(GuardRefuse)},
		{"ports", l.Ports, ""}, {"interfaces", l.Interfaces, ""}, {"direction", string(l.Direction), string(DirectionBoth)},
	} {
		if path := listenerPath(i, k.key); k.text != k.usual && !v.failed.has(path) {
			v.fail(path, &k.text, &fault{what: "has no use in mode forward, which dials its upstream and nothing else",
				allowed: "mode redirect or tproxy, or the default"})
		}
	}
}

func (v *validator) names() {
	first := map[string]int{}
	for i, l := range v.Listeners {
		if l.Name == "" {
			continue
		}
		if j, taken := first[l.Name]; taken {
			v.fail(listenerPath(i, "name"), &l.Name, &fault{what: fmt.Sprintf("is the name of listeners[%d] already", j)})
			continue
		}
		first[l.Name] = i
	}
}

// bound is an address this configuration wants to listen on.
type bound struct {
	path, text string
	addr       listenAddr
}

// addresses refuses two listeners on one address: the second bind would fail,
// or, with SO_REUSEPORT, take half of the other's connections.
func (v *validator) addresses() {
	var all []bound
	add := func(path, text string) {
		if text == "" || v.failed.has(path) {
			return
		}
		if a, bad := parseListen(text); bad == nil {
			all = append(all, bound{path, text, a})
		}
	}
	for i, l := range v.Listeners {
		add(listenerPath(i, "address"), l.Address)
	}
	add("admin.address", v.Admin.Address)
	for i, b := range all {
		for _, a := range all[:i] {
			if a.addr.overlaps(b.addr) {
				v.fail(b.path, &b.text, &fault{what: fmt.Sprintf("is taken by %s (%s)", a.path, a.text)})
				break
			}
		}
	}
}
