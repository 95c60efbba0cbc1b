package scenario

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"

	"whyreset/proxy/rules"
)

// interceptPort is where a transparent proxy listens.
const interceptPort = 15001

// intercept starts a transparent proxy on the gateway, and has the connections to this upstream taken to it.
func (e *Env) intercept(upstream netip.AddrPort) error {
	_, err := e.start(Order{Listen: netip.AddrPortFrom(netip.IPv6Unspecified(), interceptPort), Transparent: true, Settings: e.scenario.Proxy})
	if err != nil {
		return err
	}
	plan, err := rules.New(rules.Settings{Placement: rules.Router, Mark: rules.DefaultMark, Captures: []rules.Capture{{
		Name: proxyName, Mode: rules.TProxy, Source: rules.SourceClient, Port: interceptPort,
		Ports: []rules.PortRange{{First: upstream.Port(), Last: upstream.Port()}},
	}}})
	if err != nil {
		return err
	}
	// What the rules change ends with the host; only the file that says what they changed would stay.
	dir, err := os.MkdirTemp("", "whyreset-scenario-")
	if err != nil {
		return err
	}
	e.later(func() { os.RemoveAll(dir) })
	return e.Proxy().Do(func() error { return plan.Apply(context.Background(), filepath.Join(dir, "rules.json")) })
}
