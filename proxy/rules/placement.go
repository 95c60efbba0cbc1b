package rules

import "fmt"

// Placement is where the proxy stands, seen from the connections it is to carry.
type Placement string

const (
	Router Placement = "router" // on a host that forwards between clients and servers
	Server Placement = "server" // on the host of the service, which listens there on the same ports
	Client Placement = "client" // on the host of the programs that connect
	Pod    Placement = "pod"    // in a network namespace shared with a program that serves, connects, or both
)

// Mode is how the kernel hands over a connection.
type Mode string

const (
	Redirect Mode = "redirect" // destination rewritten to the proxy's port; SO_ORIGINAL_DST tells the original
	TProxy   Mode = "tproxy"   // nothing rewritten; the accepted socket has the original destination as its address
)

// Source is as whom the proxy dials on.
type Source string

const (
	SourceOwn      Source = "own"       // an address and port of the proxy's host
	SourceClientIP Source = "client-ip" // the client's address, another port
	SourceClient   Source = "client"    // the client's address and port
)

// A Triple is one way to be transparent.
type Triple struct {
	Placement Placement
	Mode      Mode
	Source    Source
	Reason    string // why it cannot be; empty when it can
}

const (
	sameTuple = "the client's own connection has these addresses and ports on this host already, and a kernel keeps only one such: " +
		"use source client-ip or own"
	sameTracked = "connection tracking, which does the redirecting, takes a second connection with the client's address and port for the " +
		"first one: use mode tproxy, or source client-ip or own"
)

// Triples are all of them. Those without a reason have been tried.
var Triples = []Triple{
	{Router, TProxy, SourceOwn, ""},
	{Router, TProxy, SourceClientIP, ""},
	{Router, TProxy, SourceClient, ""},
	{Router, Redirect, SourceOwn, ""},
	{Router, Redirect, SourceClientIP, ""},
	{Router, Redirect, SourceClient, sameTracked},
	{Server, TProxy, SourceOwn, ""},
	{Server, TProxy, SourceClientIP, ""},
	{Server, TProxy, SourceClient, sameTuple},
	{Server, Redirect, SourceOwn, ""},
	{Server, Redirect, SourceClientIP, ""},
	{Server, Redirect, SourceClient, sameTracked},
	{Client, TProxy, SourceOwn, ""},
	{Client, TProxy, SourceClientIP, ""},
	{Client, TProxy, SourceClient, sameTuple},
	{Client, Redirect, SourceOwn, ""},
	{Client, Redirect, SourceClientIP, ""},
	{Client, Redirect, SourceClient, sameTuple},
	{Pod, TProxy, SourceOwn, ""},
	{Pod, TProxy, SourceClientIP, ""},
	{Pod, TProxy, SourceClient, sameTuple},
	{Pod, Redirect, SourceOwn, ""},
	{Pod, Redirect, SourceClientIP, ""},
	{Pod, Redirect, SourceClient, sameTuple},
}

// Possible returns nil for a combination that works, and otherwise says why it does not and what to use instead.
func Possible(p Placement, m Mode, s Source) error {
	for _, t := range Triples {
		if t.Placement != p || t.Mode != m || t.Source != s {
			continue
		}
		if t.Reason == "" {
			return nil
		}
		return fmt.Errorf("placement %s, mode %s, source %s: %s", p, m, s, t.Reason)
	}
	return fmt.Errorf("placement %q, mode %q, source %q: allowed are placement router, server, client or pod, "+
		"mode tproxy or redirect, source own, client-ip or client", p, m, s)
}
