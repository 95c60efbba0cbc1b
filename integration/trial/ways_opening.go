package trial

import (
	"net/netip"
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
	"whyreset/integration/scenario"
)

// openingWays are how a connection to a server does not come about.
var openingWays = []way{
	{id: "closed-port", cause: "port_closed", reasons: []string{evidence.ReasonNoSocket}, sides: atServer, onPath: true, story: "Nothing listens on the server's port.", play: func(p *player) (scenario.Outcome, error) {
		return p.unopened(func() error { return p.line.Listener.Close() })
	}},
	{id: "reject-syn-router", cause: "firewall_reject", sides: atServer, onPath: true, needs: []lab.Feature{lab.NFT},
		story: "A firewall between refuses with a reset.", play: func(p *player) (scenario.Outcome, error) {
			return p.refused(p.Net.Router, "forward", "reject with tcp reset")
		}},
	{id: "reject-syn-host", cause: "firewall_reject", sides: atServer, onPath: true, needs: []lab.Feature{lab.NFT},
		story: "A rule on the server's host refuses with a reset.", play: func(p *player) (scenario.Outcome, error) {
			return p.refused(p.Net.Server, "input", "reject with tcp reset")
		}},
	{id: "icmp-syn", cause: "icmp_reject", sides: atServer, onPath: true, needs: []lab.Feature{lab.NFT},
		story: "A firewall refuses by ICMP.", play: func(p *player) (scenario.Outcome, error) {
			verdict := "reject with icmpx " + []string{"admin-prohibited", "port-unreachable"}[p.rng.IntN(2)]
			if p.rng.IntN(2) == 0 {
				return p.refused(p.Net.Server, "input", verdict)
			}
			return p.refused(p.Net.Router, "forward", verdict)
		}},
	{id: "drop-syn", cause: "connect_timeout", sides: atServer, onPath: true, needs: []lab.Feature{lab.NFT}, proxy: scenario.Settings{Connect: 300 * time.Millisecond},
		story: "A firewall between drops what comes; the proxy gives up.", play: func(p *player) (scenario.Outcome, error) {
			return p.refused(p.Net.Router, "forward", "drop")
		}},
	{id: "queue-full", cause: "accept_queue_overflow", reasons: []string{evidence.ReasonInvalidSYN}, sides: atServer, onPath: true, delay: 40 * time.Millisecond,
		story: "While the handshake is under way others fill the server's accept queue, and its kernel is set to say so with a reset.",
		play:  queueFull},
	{id: "no-route", cause: "unreachable", sides: atServer, onPath: true, story: "The router has no route to the server's address.", play: func(p *player) (scenario.Outcome, error) {
		nowhere := netip.MustParseAddrPort("10.99.0.1:80")
		if p.Place.IPv6 {
			nowhere = netip.MustParseAddrPort("[fd99::1]:80")
		}
		to, err := p.Through(nowhere)
		if err != nil {
			return scenario.Outcome{}, err
		}
		return p.Client(p.ctx, to, lab.Write(p.size()), lab.ReadAll()), nil
	}},
}

// unopened does something before a client comes.
func (p *player) unopened(act func() error) (scenario.Outcome, error) {
	if err := p.open(); err != nil {
		return scenario.Outcome{}, err
	}
	if err := act(); err != nil {
		return scenario.Outcome{}, err
	}
	return p.Client(p.ctx, p.line.To, lab.Write(p.size()), lab.ReadAll()), nil
}

func (p *player) refused(by *lab.Host, hook, verdict string) (scenario.Outcome, error) {
	return p.unopened(func() error {
		return by.NFT(scenario.Rule(hook, "tcp dport %d %s", p.port(), verdict))
	})
}
