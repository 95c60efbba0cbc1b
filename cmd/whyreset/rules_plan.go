package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"whyreset/config"
	"whyreset/proxy/rules"
)

// rulesPlan is what the configuration asks the kernel for. It may be called for a checked configuration with a placement.
func rulesPlan(cfg *config.Config) (*rules.Plan, error) { return rules.New(rulesSettings(cfg)) }

func rulesSettings(cfg *config.Config) rules.Settings {
	s := rules.Settings{
		Placement: rules.Placement(cfg.Rules.Placement), Mark: cfg.Rules.Mark,
		RouteMark: cfg.Rules.RouteMark, RouteTable: uint32(cfg.Rules.RouteTable),
		IPv4: true, IPv6: !withoutIPv6(),
		SetSysctls: cfg.Rules.Sysctls == config.SysctlsSet,
	}
	if cfg.Rules.User != 0 {
		user := uint32(cfg.Rules.User)
		s.User = &user
	}
	for _, l := range cfg.Listeners {
		if l.Mode == config.ModeForward {
			continue
		}
		host, port, _ := net.SplitHostPort(l.Address)
		if host == "0.0.0.0" {
			s.IPv6 = false
		}
		c := rules.Capture{
			Name: l.Name, Mode: rules.Mode(l.Mode), Source: rules.Source(l.Source),
			Interfaces: config.Interfaces(l.Interfaces),
			Allow:      config.Prefixes(l.Allow), Deny: config.Prefixes(l.Deny),
			Own:       cfg.Rules.Placement == config.PlacementRouter && l.OwnAddresses == config.GuardAllow,
			LinkLocal: l.LinkLocal == config.GuardAllow,
		}
		n, _ := strconv.ParseUint(port, 10, 16)
		c.Port = uint16(n)
		for _, r := range config.Ports(l.Ports) {
			c.Ports = append(c.Ports, rules.PortRange(r))
		}
		if l.Direction != config.DirectionBoth {
			c.Only = rules.Direction(l.Direction)
		}
		s.Captures = append(s.Captures, c)
	}
	return s
}

// withoutIPv6 says whether this host has no IPv6, or has it switched off on lo, where our route would lead.
func withoutIPv6() bool {
	off, err := os.ReadFile("/proc/sys/net/ipv6/conf/lo/disable_ipv6")
	return err != nil || strings.TrimSpace(string(off)) == "1"
}

// checkRules looks for what packet rules cannot do, listener by listener, and then as a whole.
func checkRules(cfg *config.Config) (all []config.Problem) {
	if cfg.Rules.Placement == config.PlacementNone {
		return nil
	}
	families := map[bool]bool{} // by whether a listener has IPv4 alone
	for i, l := range cfg.Listeners {
		if l.Mode == config.ModeForward {
			continue
		}
		key := func(name string) string { return fmt.Sprintf("listeners[%d].%s", i, name) }
		err := rules.Possible(rules.Placement(cfg.Rules.Placement), rules.Mode(l.Mode), rules.Source(l.Source))
		if err != nil {
			all = append(all, config.Problem{Key: key("source"), Value: string(l.Source), Valued: true, What: "cannot be: " + err.Error()})
		}
		host, port, _ := net.SplitHostPort(l.Address)
		switch {
		case port == "0":
			all = append(all, config.Problem{Key: key("address"), Value: l.Address, Valued: true,
				What: "has port 0, and packet rules need one that is fixed", Allowed: "an address such as :15001"})
		case host != "" && host != "::" && host != "0.0.0.0":
			all = append(all, config.Problem{Key: key("address"), Value: l.Address, Valued: true,
				What: "has an address, and packet rules lead to a port on all of them", Allowed: "all addresses, as in :" + port + ", or with 0.0.0.0 those of IPv4"})
		}
		families[host == "0.0.0.0"] = true
		if len(families) == 2 {
			all = append(all, config.Problem{Key: key("address"), Value: l.Address, Valued: true,
				What: "takes other IP versions than the listener before it, and packet rules are for the same ones all", Allowed: "the same for all of mode redirect and tproxy"})
			families = map[bool]bool{}
		}
	}
	if len(all) > 0 || cfg.Rules.Placement != config.PlacementNone && len(cfg.Listeners) == 0 {
		return all
	}
	if _, err := rulesPlan(cfg); err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			all = append(all, config.Problem{Key: "rules", What: line})
		}
	}
	return all
}
