package rules

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
)

// Sweep takes away what bears our mark, without a state file: the table of that name, if one of its rules has our tag as
// comment, and routes and routing rules with our protocol number. Kernel parameters that were set stay so: what they were
// before is not known any more. It says what it took.
//
// Rules that another process keeps at this time are swept too: see Holder.
func Sweep(ctx context.Context, table string, routeTable uint32) (taken []string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	left, err := leftovers(table, routeTable)
	for _, l := range left {
		if removeErr := l.do(); removeErr != nil {
			err = errors.Join(err, removeErr)
			continue
		}
		taken = append(taken, l.what)
	}
	if err != nil {
		return taken, fmt.Errorf("sweeping rules: %w", explain(err))
	}
	return taken, nil
}

// Leftovers are what Sweep would take.
func Leftovers(table string, routeTable uint32) (all []string, err error) {
	left, err := leftovers(table, routeTable)
	for _, l := range left {
		all = append(all, l.what)
	}
	return all, explain(err)
}

// leftovers are what Sweep would take, each with how: as in Remove nothing is sent to the proxy any more first.
func leftovers(table string, routeTable uint32) (all []step, err error) {
	seen, err := look(table)
	if err != nil {
		return nil, err
	}
	if seen.ours {
		all = append(all, step{"table inet " + table, func() error { return removeTable(table) }})
	}
	tables := []uint32{routeTable}
	for _, version := range []int{4, 6} {
		rules, listErr := netlink.RuleList(family(version))
		err = errors.Join(err, unlessWithout(version, listErr))
		for _, rule := range rules {
			if rule.Protocol == Protocol {
				tables = append(tables, uint32(rule.Table))
				all = append(all, step{fmt.Sprintf("IPv%d rule to table %d", version, rule.Table), func() error {
					rule.Family = family(version)
					return gone(netlink.RuleDel(&rule))
				}})
			}
		}
	}
	slices.Sort(tables)
	for _, table := range slices.Compact(tables) {
		for _, version := range []int{4, 6} {
			routes, listErr := (&routing{Table: table}).routes(version)
			err = errors.Join(err, unlessWithout(version, listErr))
			for _, route := range routes {
				if route.Protocol == Protocol {
					all = append(all, step{fmt.Sprintf("IPv%d route in table %d", version, table), func() error { return gone(netlink.RouteDel(&route)) }})
				}
			}
		}
	}
	return all, err
}
