package integration

import (
	"fmt"
	"net/netip"
	"time"

	"whyreset/diagnose"
	"whyreset/integration/scenario"
	"whyreset/proxy/kernel"
	"whyreset/proxy/relay"
)

// relayed is a relay as a proxy.
type relayed struct {
	relay   *relay.Relay
	address netip.AddrPort
	grace   time.Duration
}

func startProxy(o scenario.Order, report func(scenario.Report)) (scenario.Proxy, error) {
	s := o.Settings
	r, err := relay.New(relay.Options{
		Loops:    1,
		Socket:   kernel.Options{KeepAlive: int(s.KeepAlive / time.Second), UserTimeout: int(s.User / time.Millisecond)},
		Timeouts: relay.Timeouts{Connect: s.Connect, Idle: s.Idle, Flush: s.Flush},
		Ended: func(all []relay.Ended) {
			for i := range all {
				report(explain(&all[i]))
			}
		},
	})
	if err != nil {
		return nil, err
	}
	p := &relayed{relay: r, grace: s.Grace}
	if p.grace == 0 {
		p.grace = 10 * time.Second
	}
	target := relay.NewTarget("upstream")
	if p.address, err = r.Listen(relay.Listener{Name: "scenario", Address: o.Listen, Target: target}); err != nil {
		return nil, err
	}
	switch {
	case o.Loop:
		target.Set([]netip.AddrPort{p.address})
	case o.Upstream.IsValid():
		target.Set([]netip.AddrPort{o.Upstream})
	}
	r.Start()
	return p, nil
}

func (p *relayed) Address() netip.AddrPort { return p.address }

func (p *relayed) Stop() {
	p.relay.StopAccepting()
	for deadline := time.Now().Add(p.grace); p.relay.Active() > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	p.relay.Close()
}

func explain(e *relay.Ended) scenario.Report {
	ev := e.Evidence()
	r := scenario.Report{Number: e.Number, Verdict: diagnose.Diagnose(ev)}
	for _, o := range ev.Observations {
		r.Evidence = append(r.Evidence, fmt.Sprintf("%12v %-10v %T %+v", o.At, o.Leg, o.What, o.What))
	}
	return r
}
