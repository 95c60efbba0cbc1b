package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/record"
)

// explainFilter chooses connections: of each kind one must fit, where any is given.
type explainFilter struct {
	hosts  []netip.Prefix
	ports  []uint16
	causes []string
	sides  []string
}

var explainSides = []string{string(diagnose.SideUpstream), string(diagnose.SideDownstream), string(diagnose.SideProxy), string(diagnose.SideUnknown)}

func contains(list []string, word string) bool { return slices.Contains(list, word) }

// read takes in what was given on the command line and tells all that is wrong with it.
func (f *explainFilter) read(hosts, ports, causes, sides []string) error {
	var errs []error
	for _, text := range hosts {
		p, err := parseHost(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("--host %s: allowed are an IP address, and a network like 10.0.0.0/8", text))
		}
		f.hosts = append(f.hosts, p)
	}
	for _, text := range ports {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 {
			errs = append(errs, fmt.Errorf("--port %s: allowed are 1 to 65535", text))
		}
		f.ports = append(f.ports, uint16(n))
	}
	for _, id := range causes {
		if _, ok := cause.ByID(id); !ok {
			errs = append(errs, fmt.Errorf("--cause %s: there is no such cause%s", id, similar(id)))
		}
	}
	for _, side := range sides {
		if !contains(explainSides, side) {
			errs = append(errs, fmt.Errorf("--side %s: allowed are %s", side, strings.Join(explainSides, ", ")))
		}
	}
	f.causes, f.sides = causes, sides
	return errors.Join(errs...)
}

func parseHost(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		return p.Masked(), err
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return a.Unmap().WithZone("").Prefix(a.Unmap().BitLen())
}

// empty says that every connection passes.
func (f *explainFilter) empty() bool {
	return len(f.hosts)+len(f.ports)+len(f.causes)+len(f.sides) == 0
}

// passes says whether the connection is wanted. Its ends are those of both legs.
func (f *explainFilter) passes(c *record.Connection) bool {
	if len(f.causes) > 0 && !contains(f.causes, c.Verdict.Cause) || len(f.sides) > 0 && !contains(f.sides, string(c.Verdict.Side)) {
		return false
	}
	return f.passesEnds(c)
}

// passesEnds asks for hosts and ports only.
func (f *explainFilter) passesEnds(c *record.Connection) bool {
	ends := [...]netip.AddrPort{c.Downstream.Remote, c.Upstream.Remote, c.Destination, c.Downstream.Local, c.Upstream.Local}
	return (len(f.hosts) == 0 || slices.ContainsFunc(ends[:], f.isHost)) && (len(f.ports) == 0 || slices.ContainsFunc(ends[:], f.isPort))
}

func (f *explainFilter) isHost(end netip.AddrPort) bool {
	a := end.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(f.hosts, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (f *explainFilter) isPort(end netip.AddrPort) bool {
	return end.IsValid() && slices.Contains(f.ports, end.Port())
}
