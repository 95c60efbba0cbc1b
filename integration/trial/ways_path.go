package trial

import (
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
	"whyreset/integration/scenario"
)

// impatient is a proxy that waits no longer than a moment for an acknowledgement.
var impatient = scenario.Settings{User: 300 * time.Millisecond}

// pathWays are what happens on the way, or to a host that forgets.
var pathWays = []way{
	{id: "reject-router", cause: "firewall_reject", onPath: true, needs: []lab.Feature{lab.NFT},
		story: "A firewall between answers the next packet with a reset.", play: func(p *player) (scenario.Outcome, error) {
			return p.thenWrite(func() lab.Step {
				return p.rule(p.Net.Router, "forward", "reject with tcp reset")
			})
		}},
	{id: "reject-host", cause: "firewall_reject", onPath: true, needs: []lab.Feature{lab.NFT},
		story: "A rule on the far end's host answers the next packet with a reset.", play: func(p *player) (scenario.Outcome, error) {
			return p.thenWrite(func() lab.Step { return p.rule(p.farHost(), "input", "reject with tcp reset") })
		}},
	{id: "icmp-router", cause: "icmp_reject", onPath: true, needs: []lab.Feature{lab.NFT}, proxy: impatient,
		story: "A firewall between answers what comes by ICMP, until the proxy gives up.", play: func(p *player) (scenario.Outcome, error) {
			return p.thenWrite(func() lab.Step {
				code := []string{"admin-prohibited", "port-unreachable"}[p.rng.IntN(2)]
				return p.rule(p.Net.Router, "forward", "reject with icmpx "+code)
			})
		}},
	{id: "silence", cause: "path_silent", onPath: true, needs: []lab.Feature{lab.NFT}, proxy: impatient,
		story: "A firewall between drops what comes, until the proxy gives up.", play: func(p *player) (scenario.Outcome, error) {
			return p.thenWrite(func() lab.Step { return p.rule(p.Net.Router, "forward", "drop") })
		}},
	{id: "state-lost", cause: "stale_connection", reasons: []string{evidence.ReasonNoSocket, evidence.ReasonFlags}, onPath: true,
		story: "The far end's host forgets the connection without a word.", play: func(p *player) (scenario.Outcome, error) {
			return p.afterTraffic(func(s *script) {
				gone := make(chan struct{})
				s.farDoes(p.moment(), lab.Vanish(), tell(gone))
				s.otherDoes(lab.Wait(gone), p.moment(), lab.Write(p.size()))
			})
		}},
	{id: "not-reading", cause: "peer_not_reading", proxy: impatient, story: "An end lives and reads nothing, until the proxy gives up.",
		play: func(p *player) (scenario.Outcome, error) {
			return p.afterTraffic(func(s *script) { s.otherDoes(lab.Write(50_000_000)) })
		}},
}

// thenWrite does something to the network when all is said, and lets the other end write after that.
func (p *player) thenWrite(act func() lab.Step) (scenario.Outcome, error) {
	return p.afterTraffic(func(s *script) {
		s.otherDoes(p.moment(), act(), lab.Write(p.size()))
	})
}

// rule is a step that gives a host a rule for what goes to the far end.
func (p *player) rule(h *lab.Host, hook, verdict string) lab.Step {
	return do("new rule", func() error {
		return h.NFT(scenario.Rule(hook, "tcp %s %d %s", p.toFar(), p.port(), verdict))
	})
}
