package scenario

import (
	"context"
	"time"

	"whyreset/diagnose"
	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
)

func init() {
	// Code 0 and 1, no route and host unreachable, are what routers say that reject nothing: a rule that says so too hides
	// behind the cause unreachable.
	for _, code := range []struct {
		family  int
		nft, id string
	}{
		{4, "icmp port-unreachable", "port"},
		{4, "icmp prot-unreachable", "protocol"},
		{4, "icmp net-prohibited", "net-prohibited"},
		{4, "icmp host-prohibited", "host-prohibited"},
		{4, "icmp admin-prohibited", "admin-prohibited"},
		{6, "icmpv6 admin-prohibited", "admin-prohibited"},
		{6, "icmpv6 port-unreachable", "port"},
	} {
		for _, where := range []struct {
			id, who, hook string
			host          func(*Env) *lab.Host
		}{
			{"router", "A firewall between", "forward", func(e *Env) *lab.Host { return e.Net.Router }},
			{"server", "A rule on the server's host", "input", func(e *Env) *lab.Host { return e.Net.Server }},
		} {
			id := "icmp-" + code.id + "-" + where.id
			if code.family == 6 {
				id = "icmp6-" + code.id + "-" + where.id
			}
			register(Scenario{
				ID: id, Cause: "icmp_reject", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT}, Family: code.family,
				Story: where.who + " refuses the connection by " + code.nft + ".",
				Run: func(ctx context.Context, e *Env) (Outcome, error) {
					l, err := e.Open()
					if err != nil {
						return Outcome{}, err
					}
					err = where.host(e).NFT(Rule(where.hook, "tcp dport %d reject with %s", l.Upstream.Port(), code.nft))
					if err != nil {
						return Outcome{}, err
					}
					return e.Client(ctx, l.To, lab.Write(100), lab.ReadAll()), nil
				},
			})
		}
	}
	// On an established connection the kernel goes on trying, and in the end tells the last code it was told.
	for _, code := range []struct {
		id, nft string
		shown   []evidence.Source
	}{
		{"icmp-port-later", "icmpx port-unreachable", nil},
		{"icmp-admin-prohibited-later", "icmpx admin-prohibited", packets},
	} {
		register(Scenario{
			ID: code.id, Cause: "icmp_reject", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.NFT}, Shown: code.shown,
			Proxy: Settings{User: 300 * time.Millisecond}, Ours: true,
			Story: "A firewall between is given a new rule, and answers the packets of the connection by " + code.nft + ".",
			Run: func(ctx context.Context, e *Env) (Outcome, error) {
				return e.talkThen(ctx, 0, func(l *Line) error {
					return e.Net.Router.NFT(Rule("forward", "tcp dport %d reject with %s", l.Upstream.Port(), code.nft))
				})
			},
		})
	}
}
