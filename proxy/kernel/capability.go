package kernel

import (
	"fmt"
	"strings"
)

// Capabilities is a set of them: bit n stands for capability n of linux/capability.h.
type Capabilities uint64

// Those that this program asks for or speaks of.
const (
	DacOverride    Capabilities = 1 << 1  // files whatever their mode
	NetBindService Capabilities = 1 << 10 // ports below net.ipv4.ip_unprivileged_port_start
	NetAdmin       Capabilities = 1 << 12 // packet rules, routes; also IP_TRANSPARENT and SO_MARK
	NetRaw         Capabilities = 1 << 13 // packet sockets, IP_TRANSPARENT; SO_MARK since kernel 5.17
	SysAdmin       Capabilities = 1 << 21
	SysResource    Capabilities = 1 << 24 // pipes beyond fs.pipe-user-pages-soft
	Perfmon        Capabilities = 1 << 38
	BPF            Capabilities = 1 << 39
)

var capabilityNames = []struct {
	bit  Capabilities
	name string
}{
	{DacOverride, "CAP_DAC_OVERRIDE"}, {NetBindService, "CAP_NET_BIND_SERVICE"}, {NetAdmin, "CAP_NET_ADMIN"}, {NetRaw, "CAP_NET_RAW"},
	{SysAdmin, "CAP_SYS_ADMIN"}, {SysResource, "CAP_SYS_RESOURCE"}, {Perfmon, "CAP_PERFMON"}, {BPF, "CAP_BPF"},
}

// String names those that have a name here, then says how many others there are; "none" for the empty set.
func (c Capabilities) String() string {
	var names []string
	for _, known := range capabilityNames {
		if c&known.bit != 0 {
			names = append(names, known.name)
			c &^= known.bit
		}
	}
	others := 0
	for ; c != 0; c &= c - 1 {
		others++
	}
	switch {
	case others == 0 && len(names) == 0:
		return "none"
	case others > 0 && len(names) == 0:
		return fmt.Sprintf("%d that have no use here", others)
	case others > 0:
		names = append(names, fmt.Sprintf("%d others", others))
	}
	return strings.Join(names, ", ")
}
