package rules

import (
	"fmt"
	"strings"
)

// Script is the plan as a shell script with nft and ip, to audit or to run by hand instead of Apply. What it puts is what
// Apply puts, byte for byte in the listings of nft and ip. Its end says how to take it away.
func (p *Plan) Script() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }

	line("#!/bin/sh -e")
	line("# whyreset, placement %s", p.settings.Placement)
	for i, c := range p.settings.Captures {
		line("#")
		line("# %s: mode %s, source %s, to the listener on port %d", c.Name, c.Mode, c.Source, c.Port)
		line("# without a proxy: %s", p.WhenDead()[i].Text)
	}
	line("#")
	line("# no loop: %s", p.Exemption())
	for _, note := range p.Notes() {
		line("# note: %s", note)
	}
	b.WriteString("\n" + p.Commands())
	return b.String()
}

// Commands are those of Script, with few words about them.
func (p *Plan) Commands() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }

	for _, s := range p.sysctls {
		line("# needed: %s", s.Why)
		if p.settings.SetSysctls {
			line("sysctl -q -w %s=%s", s.Key, s.Value)
		} else {
			line("# sysctl -w %s=%s", s.Key, s.Value)
		}
		line("")
	}
	if p.routed {
		line("# what has mark %#x is delivered on this host, whatever its destination", p.settings.RouteMark)
		for _, f := range p.families() {
			line("ip -%d route add local default dev lo table %d proto %d", f, p.settings.RouteTable, Protocol)
			line("ip -%d rule add pref %d fwmark %#x lookup %d protocol %d", f, p.settings.RouteTable, p.settings.RouteMark, p.settings.RouteTable, Protocol)
		}
		line("")
	}
	line("nft -f - <<'END'")
	b.WriteString(p.table.String())
	line("END")
	line("")
	line("# to take it away:")
	line("#   nft delete table inet %s", p.table.name)
	if p.routed {
		for _, f := range p.families() {
			line("#   ip -%d rule del pref %d fwmark %#x lookup %d protocol %d", f, p.settings.RouteTable, p.settings.RouteMark, p.settings.RouteTable, Protocol)
			line("#   ip -%d route del local default dev lo table %d proto %d", f, p.settings.RouteTable, Protocol)
		}
	}
	return b.String()
}

// families are the IP versions of the plan.
func (p *Plan) families() (all []int) {
	if p.settings.IPv4 {
		all = append(all, 4)
	}
	if p.settings.IPv6 {
		all = append(all, 6)
	}
	return all
}
