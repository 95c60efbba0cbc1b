package config

import (
	"net/netip"
	"strings"
)

// Prefixes are those that a checked Allow or Deny names.
func Prefixes(text string) []netip.Prefix {
	all, _ := parsePrefixes(text)
	return all
}

func parsePrefixes(text string) (all []netip.Prefix, _ *fault) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	for _, part := range strings.Split(text, ",") {
		p, bad := parsePrefix(strings.TrimSpace(part))
		if bad != nil {
			return nil, bad
		}
		all = append(all, p)
	}
	return all, nil
}

// parsePrefix takes an address for the network of that address alone. An address below a network that is not its first
// one is a slip in the one or the other.
func parsePrefix(text string) (netip.Prefix, *fault) {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		return netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case text == "":
		return p, &fault{what: "has nothing between two commas"}
	case err != nil || p.Addr().Is4In6():
		return p, &fault{what: "holds " + printable(text) + ", which is neither an address nor a network"}
	case p != p.Masked():
		return p, &fault{what: "holds " + p.String() + ", which has bits set behind its length", suggest: p.Masked().String()}
	}
	return p, nil
}
