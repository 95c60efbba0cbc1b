package config

import (
	"regexp"
	"strconv"
	"strings"
)

// PortRange is first to last, both included.
type PortRange struct{ First, Last uint16 }

// Ports are those that a checked Ports of a listener names.
func Ports(text string) []PortRange {
	all, _ := parsePorts(text)
	return all
}

func parsePorts(text string) (all []PortRange, _ *fault) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	for _, part := range strings.Split(text, ",") {
		part = strings.TrimSpace(part)
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		first, badFirst := parseOnePort(strings.TrimSpace(low))
		last, badLast := parseOnePort(strings.TrimSpace(high))
		switch {
		case part == "":
			return nil, &fault{what: "has nothing between two commas"}
		case badFirst || badLast:
			return nil, &fault{what: "holds " + printable(part) + ", which is neither a port from 1 to 65535 nor a range of them"}
		case last < first:
			return nil, &fault{what: "holds " + part + ", which ends before it begins", suggest: strings.TrimSpace(high) + "-" + strings.TrimSpace(low)}
		}
		all = append(all, PortRange{first, last})
	}
	return all, nil
}

func parseOnePort(text string) (port uint16, bad bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	return uint16(n), err != nil || n == 0 || !portNumber.MatchString(text)
}

// Interfaces are those that a checked Interfaces of a listener names.
func Interfaces(text string) []string {
	all, _ := parseInterfaces(text)
	return all
}

// interfaceName is of IFNAMSIZ - 1 characters at most.
var interfaceName = regexp.MustCompile(`^[A-Za-z0-9._@:-]{1,15}\*?$`)

func parseInterfaces(text string) (all []string, _ *fault) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	for _, part := range strings.Split(text, ",") {
		part = strings.TrimSpace(part)
		switch {
		case part == "":
			return nil, &fault{what: "has nothing between two commas"}
		case !interfaceName.MatchString(part):
			return nil, &fault{what: "holds " + printable(part) + ", which is no name of an interface"}
		}
		all = append(all, part)
	}
	return all, nil
}
