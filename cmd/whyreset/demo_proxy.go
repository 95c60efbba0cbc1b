package main

import (
	"context"
	"net/netip"

	"whyreset/diagnose/record"
	"whyreset/integration/scenario"
	"whyreset/proxy"
)

// demoProxy is a proxy that tells of connections instead of recording them.
type demoProxy struct {
	*proxy.Server
	report func(scenario.Report)
}

func startDemoProxy(o scenario.Order, report func(scenario.Report)) (scenario.Proxy, error) {
	p := &demoProxy{report: report}
	var err error
	if p.Server, err = proxy.New(o.Config(), p); err != nil {
		return nil, err
	}
	p.Start()
	return p, nil
}

func (p *demoProxy) Address() netip.AddrPort { return p.Addresses()["scenario"] }

// Stop gives what is left its time.
func (p *demoProxy) Stop() {
	ctx, cancel := context.WithTimeout(context.Background(), p.Config().Timeouts.StopGrace)
	defer cancel()
	p.Server.Stop(ctx)
}

// Connection is called for each connection that ended.
func (p *demoProxy) Connection(c *record.Connection) {
	p.report(scenario.Report{Number: c.Sequence, Verdict: c.Verdict})
}

// Started is for connections that go on.
func (p *demoProxy) Started(*record.Connection) {}

// Notice is for what concerns no connection.
func (p *demoProxy) Notice(record.Notice) {}
