package trial

import (
	"fmt"
	"time"

	"whyreset/diagnose"
	"whyreset/integration/lab"
	"whyreset/integration/scenario"
)

// localWays are what happens on the proxy's own host.
var localWays = []way{
	{id: "our-socket-destroyed", cause: "local_kill", needs: []lab.Feature{lab.SS}, story: "Somebody on the proxy's host destroys its socket (ss -K).",
		play: func(p *player) (scenario.Outcome, error) {
			return p.afterTraffic(func(s *script) {
				s.otherDoes(p.moment(), p.kill(p.Env.Proxy(), p.direction("dport", "sport")))
			})
		}},
	{id: "our-rule", cause: "local_firewall", onPath: true, needs: []lab.Feature{lab.NFT}, proxy: impatient,
		story: "A new rule on the proxy's host drops or rejects what is sent, until the proxy gives up.", play: func(p *player) (scenario.Outcome, error) {
			return p.thenWrite(func() lab.Step {
				verdict := []string{"drop", "reject with icmpx admin-prohibited"}[p.rng.IntN(2)]
				return p.rule(p.Env.Proxy(), "output", verdict)
			})
		}},
	{id: "our-idle-timeout", cause: "proxy_idle_timeout", sides: []diagnose.Side{diagnose.SideProxy}, proxy: scenario.Settings{Idle: time.Second},
		story: "Nobody speaks, and the proxy's idle timeout ends it.", play: func(p *player) (scenario.Outcome, error) {
			return p.afterTraffic(func(*script) {})
		}},
}

// kill is a step that destroys a host's sockets with the service's port (SOCK_DESTROY).
func (p *player) kill(h *lab.Host, which string) lab.Step {
	return do("ss -K", func() error {
		_, err := h.KillSockets(which, "=", fmt.Sprintf(":%d", p.port()))
		return err
	})
}
