package rules

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// Plan is what is to be done to the kernel, and what comes of it. It is made by New and does not change.
type Plan struct {
	settings Settings
	table    *table
	routed   bool // packets with the route mark are delivered on this host, by a routing table of our own
	sysctls  []Sysctl
}

// Sysctl is a kernel parameter that a plan needs.
type Sysctl struct {
	Key, Value string
	Why        string
}

// New computes a plan. The error names everything that is wrong with the settings.
func New(s Settings) (*Plan, error) {
	s.complete()
	if err := s.check(); err != nil {
		return nil, err
	}
	c := composer{Settings: &s, table: &table{name: s.Table}}
	c.compose()
	p := &Plan{settings: s, table: c.table, routed: c.routed}
	if s.Placement == Router {
		if s.IPv4 {
			p.sysctls = append(p.sysctls, Sysctl{"net.ipv4.ip_forward", "1", "a router forwards: what goes direct, and the proxy's fail-open"})
		}
		if s.IPv6 {
			p.sysctls = append(p.sysctls, Sysctl{"net.ipv6.conf.all.forwarding", "1",
				"the same for IPv6; note that a host that gets its default route by router advertisement loses it (accept_ra)"})
		}
	}
	return p, nil
}

// Settings are those the plan was made from, with what had been left out filled in.
func (p *Plan) Settings() Settings { return p.settings }

// Digest is the same for plans that put the same, and for no others.
func (p *Plan) Digest() string {
	text := p.table.String()
	if p.routed {
		text += fmt.Sprint(p.settings.RouteMark, p.settings.RouteTable, p.families())
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
}

// Table is the packet rules alone, as nft reads them.
func (p *Plan) Table() string { return p.table.String() }

// Sysctls are the kernel parameters that must have these values.
func (p *Plan) Sysctls() []Sysctl { return slices.Clone(p.sysctls) }

// Dead tells what becomes of new connections when rules are in place and no proxy listens. Established ones end with the
// proxy in any case.
type Dead struct {
	Capture string
	Open    bool   // they go direct at once
	Text    string // the same for people, with the reason
}

// WhenDead tells it for each capture.
func (p *Plan) WhenDead() []Dead {
	var all []Dead
	for _, c := range p.settings.Captures {
		d := Dead{Capture: c.Name}
		switch {
		case c.Mode == Redirect:
			d.Text = "fail-closed: the kernel redirects whether or not anybody listens, so new connections are refused until the rules are removed"
		case !p.settings.outgoing(c):
			d.Open, d.Text = true, "fail-open: a packet for which tproxy finds no listener goes on to where it was meant, so new connections go direct"
		case !p.settings.incoming(c):
			d.Text = "fail-closed: packets that leave are turned round before anyone looks for a listener, so new connections are refused until the rules are removed"
		default:
			d.Text = "fail-open for what comes in; fail-closed for what goes out: it is turned round before anyone looks for a listener, and refused until the rules are removed"
		}
		if !d.Open {
			d.Text += "; whyreset run --rules removes them as soon as its worker ends"
		}
		all = append(all, d)
	}
	return all
}

// Exemption says, for people, why the proxy's own connections do not come back to it.
func (p *Plan) Exemption() string {
	s := &p.settings
	var why []string
	if slices.ContainsFunc(s.Captures, s.outgoing) {
		if s.Mark != 0 {
			why = append(why, fmt.Sprintf("packets with mark %#x, which the proxy's sockets carry, are let out", s.Mark))
		}
		if s.User != nil {
			why = append(why, fmt.Sprintf("packets of user %d are let out", *s.User))
		}
	}
	if slices.ContainsFunc(s.Captures, s.incoming) {
		why = append(why, "only what comes in by an interface other than lo is taken, and what this host sends never does")
	}
	return strings.Join(why, "; ")
}

// Capabilities are those that the proxy needs while it runs, beside CAP_NET_BIND_SERVICE for clients with ports below
// 1024 (source client). Applying and removing rules takes CAP_NET_ADMIN.
func (p *Plan) Capabilities() []string {
	for _, c := range p.settings.Captures {
		// IP_TRANSPARENT and SO_MARK ask for one of the two; SO_MARK takes CAP_NET_RAW since kernel 5.17.
		if c.Mode == TProxy || p.spoofs(c) || p.settings.Mark != 0 && p.settings.User == nil && p.settings.outgoing(c) {
			return []string{"CAP_NET_RAW or CAP_NET_ADMIN"}
		}
	}
	return nil
}

// spoofs says whether the proxy dials from addresses that are not its host's.
func (p *Plan) spoofs(c Capture) bool { return c.Source != SourceOwn && p.settings.Placement != Client }
