package scenario

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	"whyreset/config"
	"whyreset/diagnose"
)

// Settings are those of the proxy. Zero is no limit.
type Settings struct {
	Connect, Idle, Flush time.Duration
	KeepAlive            time.Duration // whole seconds
	User                 time.Duration
	Connections          int           // at a time
	Grace                time.Duration // how long connections may go on after the order to stop; zero: the default
}

// Order is what a proxy is told when it starts.
type Order struct {
	Listen   netip.AddrPort // port 0: any
	Upstream netip.AddrPort // invalid: a name without addresses
	Settings Settings

	Transparent bool // take what is meant for others (tproxy), and go on as the client; there is no Upstream
}

// proxyName is the listener's.
const proxyName = "scenario"

// noName cannot be the name of a host, so nobody is asked for its address.
const noName = "two..dots"

// Config is what the proxy's configuration has to be.
func (o Order) Config() *config.Config {
	c := config.Defaults()
	upstream := o.Upstream.String()
	if !o.Upstream.IsValid() {
		upstream = noName + ":80"
	}
	c.Listeners = []config.Listener{{Name: proxyName, Address: o.Listen.String(), Upstream: upstream}}
	if o.Transparent {
		c.Listeners = []config.Listener{{Name: proxyName, Address: o.Listen.String(), Mode: config.ModeTProxy, Source: config.SourceClient}}
	}
	c.Complete()
	s := o.Settings
	c.Timeouts = config.Timeouts{Connect: s.Connect, Idle: s.Idle, Flush: s.Flush, StopGrace: s.Grace, Keepalive: s.KeepAlive, User: s.User}
	c.Limits.Connections = s.Connections
	if s.Grace == 0 {
		c.Timeouts.StopGrace = config.Defaults().Timeouts.StopGrace
	}
	return c
}

// Report is what the proxy said of one connection.
type Report struct {
	Number   uint64 // of the connection, in order of acceptance
	Verdict  diagnose.Verdict
	Evidence []string // what was observed, a line each, for whoever looks into a wrong verdict
	Record   string   // the line that the log would have
}

// Proxy is a running proxy, in its own process.
type Proxy interface {
	Address() netip.AddrPort
	// Stop ends it: no new connections, Settings.Grace for those there, then resets. All reports are out when it returns.
	Stop()
}

// StartProxy starts a proxy as ordered. It tells report of each connection that ended.
type StartProxy func(o Order, report func(Report)) (Proxy, error)

// told is a line that the proxy's process writes.
type told struct {
	Address *netip.AddrPort `json:",omitempty"`
	Report  *Report         `json:",omitempty"`
	Error   string          `json:",omitempty"`
}

// serveProxy is the part of the proxy's process: an order comes in, reports go out, and the end of the input stops it.
func serveProxy(start StartProxy, in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	order, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the proxy's order: %w", err)
	}
	var o Order
	if err := json.Unmarshal(order, &o); err != nil {
		return fmt.Errorf("the proxy's order: %w", err)
	}
	var mu sync.Mutex
	enc := json.NewEncoder(out)
	tell := func(t told) {
		mu.Lock()
		defer mu.Unlock()
		enc.Encode(t) // nobody may be there any more
	}
	p, err := start(o, func(r Report) { tell(told{Report: &r}) })
	if err != nil {
		tell(told{Error: err.Error()})
		return err
	}
	at := p.Address()
	tell(told{Address: &at})
	io.Copy(io.Discard, lines)
	p.Stop()
	return nil
}
