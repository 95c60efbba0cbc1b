package rules

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
)

// Values that are good unless something else on the host uses them. The two marks keep clear of the bits that kube-proxy
// (0x4000, 0x8000), Cilium (0xf00), the AWS network plug-in (0x80) and Calico (0xffff0000) give a meaning.
const (
	DefaultMark       = 0x57
	DefaultRouteMark  = 0x52
	DefaultRouteTable = 5752 // also the priority of the routing rules
	DefaultTable      = "whyreset"
)

// Protocol tags our routes and routing rules (rtm_protocol, FRA_PROTOCOL). /etc/iproute2/rt_protos gives it to nobody.
const Protocol = 183

// Settings is what a plan is made from.
type Settings struct {
	Placement Placement
	Captures  []Capture

	// Mark is SO_MARK of the sockets that dial on. Rules know the proxy's own connections by it. Zero: not marked; then
	// placements client and pod need User, and source must be own.
	Mark uint32
	// User is the user ID the proxy runs as, alone: what this user connects to is left alone. Nil: go by Mark.
	User *uint32

	Table      string // of packet rules; empty: DefaultTable
	RouteMark  uint32 // packets to be delivered on this host; zero: DefaultRouteMark
	RouteTable uint32 // the routing table for them, used by nobody else; zero: DefaultRouteTable
	IPv4, IPv6 bool   // neither: both

	// SetSysctls has Apply set the kernel parameters that the plan needs and Remove put them back. If false they are only
	// listed.
	SetSysctls bool

	By string // who applies the plan, for people who ask Status; may be empty
}

// Capture is the connections for one listener.
type Capture struct {
	Name   string // of the listener; letters, digits, ".", "_" and "-"; unique
	Mode   Mode
	Source Source
	Port   uint16 // of the listener, on all addresses of the host

	Ports      []PortRange // destination ports, at least one
	Interfaces []string    // where they come in (placement client: go out); "veth*" is all that begin so; empty: all but lo

	// Destinations: those in Deny go direct, and if there is an Allow, those that are not in it.
	Allow, Deny []netip.Prefix
	Own         bool // placement router: also take what is meant for this host's own addresses
	LinkLocal   bool // also take link-local destinations and the metadata services of clouds

	// Only is for placement pod: take only what comes in, or only what goes out. Empty: both.
	Only Direction
}

// PortRange is first to last, both included.
type PortRange struct{ First, Last uint16 }

// Direction of a connection, seen from the network namespace.
type Direction string

const (
	In  Direction = "in"
	Out Direction = "out"
)

// metadata services of clouds: link-local, AWS by IPv6, Google by IPv6, Alibaba.
var guarded = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("fd00:ec2::254/128"),
	netip.MustParsePrefix("fd20:ce::254/128"),
	netip.MustParsePrefix("100.100.100.200/32"),
}

var (
	captureName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,63}$`)
	tableName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9._-]{0,62}$`)
	ifName      = regexp.MustCompile(`^[A-Za-z0-9._@:-]{1,15}\*?$`)
)

// complete fills in what was left out.
func (s *Settings) complete() {
	s.Table = cmp.Or(s.Table, DefaultTable)
	s.RouteMark = cmp.Or(s.RouteMark, DefaultRouteMark)
	s.RouteTable = cmp.Or(s.RouteTable, DefaultRouteTable)
	if !s.IPv4 && !s.IPv6 {
		s.IPv4, s.IPv6 = true, true
	}
}

// check returns every mistake at once.
func (s *Settings) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if !tableName.MatchString(s.Table) {
		bad("table %q: allowed are a letter, then up to 62 letters, digits, \".\", \"_\" and \"-\"", s.Table)
	}
	if s.Mark == s.RouteMark {
		bad("mark and route mark are both %#x: the proxy's own packets would be delivered to itself; use two different marks", s.Mark)
	}
	switch s.RouteTable {
	case 253, 254, 255: // RT_TABLE_DEFAULT, RT_TABLE_MAIN, RT_TABLE_LOCAL
		bad("routing table %d is the host's own: use one that nobody else uses, such as %d", s.RouteTable, DefaultRouteTable)
	}
	if len(s.Captures) == 0 {
		bad("no captures: give at least one listener with its destination ports")
	}
	for i, c := range s.Captures {
		for _, err := range s.checkCapture(c) {
			errs = append(errs, fmt.Errorf("capture %q: %w", c.Name, err))
		}
		for _, other := range s.Captures[:i] {
			switch {
			case other.Name == c.Name:
				bad("capture %q is there twice: give each listener its own name", c.Name)
			case overlap(c, other):
				bad("captures %q and %q want the same ports on the same interfaces: a connection can go to only one listener", other.Name, c.Name)
			}
		}
	}
	return errors.Join(errs...)
}

func (s *Settings) checkCapture(c Capture) (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if err := Possible(s.Placement, c.Mode, c.Source); err != nil {
		return []error{err}
	}
	if !captureName.MatchString(c.Name) {
		bad("name: allowed are 1 to 63 letters, digits, \".\", \"_\" and \"-\"")
	}
	if c.Port == 0 {
		bad("port of the listener: rules need a fixed one, 1 to 65535")
	}
	if len(c.Ports) == 0 {
		bad("no destination ports: give at least one, such as 5432 or 8000-8999")
	}
	for _, r := range c.Ports {
		switch {
		case r.First == 0 || r.Last < r.First:
			bad("destination ports %d-%d: allowed are 1-65535, the smaller one first", r.First, r.Last)
		case r.First <= c.Port && c.Port <= r.Last && s.local(c):
			bad("destination ports %d-%d contain the listener's own port %d: let it listen on another one", r.First, r.Last, c.Port)
		}
	}
	for _, name := range c.Interfaces {
		if !ifName.MatchString(name) {
			bad("interface %q: allowed is a name of up to 15 characters, with or without \"*\" at its end", name)
		}
	}
	if allow4, allow6 := split(c.Allow); len(c.Allow) > 0 && (len(allow4) == 0 || !s.IPv4) && (len(allow6) == 0 || !s.IPv6) {
		bad("allow has no destination of a family that is on: nothing would be taken")
	}
	for _, p := range slices.Concat(c.Allow, c.Deny) {
		if !p.IsValid() {
			bad("allow, deny: a prefix is not valid; allowed are such as 10.0.0.0/8 and 2001:db8::1/128")
		}
	}
	if s.Mark == 0 && s.User == nil && s.outgoing(c) {
		bad("nothing exempts the proxy's own connections, which would come back to it without end: " +
			"give a mark that its sockets carry, or a user that it alone runs as")
	}
	if s.Mark == 0 && c.Source != SourceOwn && s.Placement != Client {
		bad("source %s needs a mark, by which the way back to the proxy is found", c.Source)
	}
	if c.Only != "" && (s.Placement != Pod || c.Only != In && c.Only != Out) {
		bad("only %q: allowed are in and out, with placement pod", c.Only)
	}
	if c.Own && s.Placement != Router {
		bad("own addresses can be asked for with placement router alone; placement server takes nothing else, client and pod never send them out")
	}
	return errs
}

// incoming and outgoing say where the connections of a capture are met.
func (s *Settings) incoming(c Capture) bool {
	return s.Placement == Router || s.Placement == Server || s.Placement == Pod && c.Only != Out
}

func (s *Settings) outgoing(c Capture) bool {
	return s.Placement == Client || s.Placement == Pod && c.Only != In
}

// local says whether destinations are addresses of this host.
func (s *Settings) local(c Capture) bool {
	return c.Own || s.incoming(c) && s.Placement != Router
}

func overlap(a, b Capture) bool {
	ports := slices.ContainsFunc(a.Ports, func(x PortRange) bool {
		return slices.ContainsFunc(b.Ports, func(y PortRange) bool { return x.First <= y.Last && y.First <= x.Last })
	})
	if !ports || a.Only != "" && b.Only != "" && a.Only != b.Only {
		return false
	}
	return len(a.Interfaces) == 0 || len(b.Interfaces) == 0 ||
		slices.ContainsFunc(a.Interfaces, func(name string) bool {
			return slices.ContainsFunc(b.Interfaces, func(other string) bool { return covers(name, other) || covers(other, name) })
		})
}

// covers says whether an interface name, perhaps with a star, means another one too.
func covers(pattern, name string) bool {
	if n := len(pattern) - 1; pattern[n] == '*' {
		return len(name) >= n && name[:n] == pattern[:n]
	}
	return pattern == name
}
