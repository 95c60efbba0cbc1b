package rules

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func family(version int) int {
	if version == 4 {
		return netlink.FAMILY_V4
	}
	return netlink.FAMILY_V6
}

// route is "local default dev lo": whatever the destination, it is delivered here.
func (r *routing) route(version int) (*netlink.Route, error) {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return nil, fmt.Errorf("interface lo: %w", err)
	}
	all := &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
	if version == 6 {
		all = &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
	}
	return &netlink.Route{LinkIndex: lo.Attrs().Index, Family: family(version), Dst: all, Type: unix.RTN_LOCAL,
		Scope: netlink.Scope(localScope(version)), Table: int(r.Table), Protocol: Protocol}, nil
}

// localScope: IPv6 knows no scopes.
func localScope(version int) uint8 {
	if version == 4 {
		return unix.RT_SCOPE_HOST
	}
	return unix.RT_SCOPE_UNIVERSE
}

func (r *routing) rule(version int) *netlink.Rule {
	rule := netlink.NewRule()
	rule.Family, rule.Priority, rule.Mark, rule.Table, rule.Protocol = family(version), int(r.Table), r.Mark, int(r.Table), Protocol
	return rule
}

// A routing table that somebody else uses must not be touched, and their routes would be looked up for our packets.
func (r *routing) addRoute(version int) error {
	there, err := r.foreignRoutes(version)
	if err != nil {
		return err
	}
	if there > 0 {
		return fmt.Errorf("routing table %d is in use: it has %d routes that are not ours (ip -%d route show table %d); choose another one",
			r.Table, there, version, r.Table)
	}
	route, err := r.route(version)
	if err != nil {
		return err
	}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("ip -%d route add local default dev lo table %d: %w", version, r.Table, err)
	}
	return nil
}

func (r *routing) foreignRoutes(version int) (n int, err error) {
	routes, err := r.routes(version)
	for _, route := range routes {
		if route.Protocol != Protocol {
			n++
		}
	}
	return n, err
}

func (r *routing) routes(version int) ([]netlink.Route, error) {
	return netlink.RouteListFiltered(family(version), &netlink.Route{Table: int(r.Table), Type: unix.RTN_UNSPEC}, netlink.RT_FILTER_TABLE)
}

func (r *routing) addRule(version int) error {
	there, err := r.hasRule(version)
	if err != nil || there {
		return err
	}
	if err := netlink.RuleAdd(r.rule(version)); err != nil {
		return fmt.Errorf("ip -%d rule add pref %d fwmark %#x lookup %d: %w", version, r.Table, r.Mark, r.Table, err)
	}
	return nil
}

func (r *routing) hasRule(version int) (bool, error) {
	rules, err := netlink.RuleList(family(version))
	for _, rule := range rules {
		if rule.Protocol == Protocol && rule.Table == int(r.Table) && rule.Mark == r.Mark && rule.Priority == int(r.Table) {
			return true, nil
		}
	}
	return false, err
}

func (r *routing) hasRoute(version int) (bool, error) {
	routes, err := r.routes(version)
	for _, route := range routes {
		if route.Protocol == Protocol && route.Type == unix.RTN_LOCAL {
			return true, nil
		}
	}
	return false, err
}

// remove takes away rules first: a rule without its routes lets packets on to the next one, which is what they did before.
func (r *routing) remove() (err error) {
	for _, version := range r.Families {
		if there, listErr := r.hasRule(version); there {
			err = errors.Join(err, gone(netlink.RuleDel(r.rule(version))))
		} else {
			err = errors.Join(err, listErr)
		}
		if there, listErr := r.hasRoute(version); there {
			route, linkErr := r.route(version)
			if linkErr == nil {
				linkErr = gone(netlink.RouteDel(route))
			}
			err = errors.Join(err, linkErr)
		} else {
			err = errors.Join(err, listErr)
		}
	}
	return err
}

// gone: what is no longer there need not be taken away.
func gone(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// unlessWithout leaves out the error of a kernel that has no IPv6.
func unlessWithout(version int, err error) error {
	if version == 6 && (errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP)) {
		return nil
	}
	return err
}
