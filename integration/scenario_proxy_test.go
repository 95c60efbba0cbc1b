package integration

import (
	"context"
	"fmt"
	"net/netip"

	"whyreset/diagnose/record"
	"whyreset/integration/scenario"
	"whyreset/proxy"
)

// toldProxy is a proxy that tells of connections instead of recording them.
type toldProxy struct {
	*proxy.Server
	report func(scenario.Report)
}

func startProxy(o scenario.Order, report func(scenario.Report)) (scenario.Proxy, error) {
	p := &toldProxy{report: report}
	var err error
	if p.Server, err = proxy.New(o.Config(), p); err != nil {
		return nil, err
	}
	p.Start()
	return p, nil
}

func (p *toldProxy) Address() netip.AddrPort { return p.Addresses()["scenario"] }

// Stop gives what is left its time.
func (p *toldProxy) Stop() {
	ctx, cancel := context.WithTimeout(context.Background(), p.Config().Timeouts.StopGrace)
	defer cancel()
	p.Server.Stop(ctx)
}

// Connection is called for each connection that ended.
func (p *toldProxy) Connection(c *record.Connection) {
	r := scenario.Report{Number: c.Sequence, Verdict: c.Verdict, Record: string(record.Append(nil, c))}
	for _, o := range c.Evidence.Observations {
		r.Evidence = append(r.Evidence, fmt.Sprintf("%12v %-10v %T %+v", o.At, o.Leg, o.What, o.What))
	}
	p.report(r)
}

// Started is for connections that go on.
func (p *toldProxy) Started(*record.Connection) {}

// Notice is for what concerns no connection.
func (p *toldProxy) Notice(record.Notice) {}
