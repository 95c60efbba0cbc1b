package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"whyreset/integration/lab"
	"whyreset/proxy/rules"
)

// Where everybody is in the lab: the client dials the server, each contestant is meant by a port of its own, and the
// packet rules on the router turn connections to that port to the contestant's. They are whyreset's own; what they do for
// sockets that are bound to others' addresses holds for HAProxy's as well.
const (
	firstAim    = 8000  // on the server
	firstListen = 15001 // on the router
)

func (s *stage) transparent() bool { return s.relays != nil }

func (s *stage) aim(i int) string {
	return netip.AddrPortFrom(s.servers.Addr4(), uint16(firstAim+i)).String()
}

// transparentSeat is that of contestant i, which dials whom its client has dialled, with its client's address.
func (s *stage) transparentSeat(i int) seat {
	return seat{dial: s.aim(i), listen: fmt.Sprintf(":%d", firstListen+i), backend: s.aim(i),
		bind: " transparent", source: "source 0.0.0.0 usesrc clientip"}
}

// hide makes the lab and the rules that lead to so many contestants.
func (c *crew) hide(contestants int) (*lab.Net, error) {
	if skip, err := lab.Need(lab.Netns, lab.NFT); err != nil {
		return nil, err
	} else if skip != "" {
		return nil, fmt.Errorf("%w: %s", errNoLab, skip)
	}
	n, err := lab.New(lab.Options{})
	if err != nil {
		return nil, err
	}
	c.stage = stage{n.Client, n.Router, n.Server}
	if err := c.lead(contestants); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// errNoLab is that hosts cannot be made here.
var errNoLab = errors.New("no place for transparent relays")

func (c *crew) lead(contestants int) error {
	settings := rules.Settings{Placement: rules.Router, Mark: rules.DefaultMark}
	for i := range contestants {
		settings.Captures = append(settings.Captures, rules.Capture{Name: fmt.Sprintf("contestant%d", i), Mode: rules.TProxy,
			Source: rules.SourceClientIP, Port: uint16(firstListen + i), Ports: []rules.PortRange{{First: uint16(firstAim + i), Last: uint16(firstAim + i)}}})
	}
	plan, err := rules.New(settings)
	if err != nil {
		return err
	}
	if err := c.relays.Do(func() error { return plan.Apply(context.Background(), filepath.Join(c.dir, "rules.json")) }); err != nil {
		return err
	}
	// What is not turned to a relay must not get through: nobody would notice.
	direct := fmt.Sprintf("table inet bench { chain direct { type filter hook forward priority 0; tcp dport %d-%d reject with tcp reset; }; }",
		firstAim, firstAim+contestants-1)
	if err := c.relays.NFT(direct); err != nil {
		return err
	}
	// As on loopback by default: else the ports of connections that have just ended would soon be used up.
	for _, h := range []*lab.Host{c.clients, c.relays} {
		if err := h.Sysctl("net.ipv4.tcp_tw_reuse", "1"); err != nil {
			return err
		}
	}
	return nil
}

// dial connects from where the clients are.
func (c *crew) dial(address string, deadline time.Time) (net.Conn, error) {
	if !c.transparent() {
		return dial(address, deadline)
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	conn, err := c.clients.Dial(ctx, "tcp", to)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(deadline)
}
