package scenario

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"whyreset/integration/lab"
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
	return takeTo(e.Proxy(), upstream.Port())
}

// HasTransparent returns nil when scenarios can be played with a transparent proxy here: hosts can be made, and the kernel takes
// the rules.
func HasTransparent() error { return hasTransparent() }

var hasTransparent = sync.OnceValue(func() error {
	if err := lab.Available(); err != nil {
		return err
	}
	n, err := lab.New(lab.Options{Gateway: lab.BesideClient})
	if err != nil {
		return err
	}
	defer n.Close()
	return takeTo(n.Gateway, 1)
})

// takeTo has the connections to a port taken to the proxy on this host, which forwards them.
func takeTo(h *lab.Host, port uint16) error {
	plan, err := rules.New(rules.Settings{Placement: rules.Router, Mark: rules.DefaultMark, Captures: []rules.Capture{{
		Name: proxyName, Mode: rules.TProxy, Source: rules.SourceClient, Port: interceptPort,
		Ports: []rules.PortRange{{First: port, Last: port}},
	}}})
	if err != nil {
		return err
	}
	// What the rules change ends with the host. The file that says what they changed is of no use to anybody.
	dir, err := os.MkdirTemp("", "whyreset-scenario-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return h.Do(func() error { return plan.Apply(context.Background(), filepath.Join(dir, "rules.json")) })
}
