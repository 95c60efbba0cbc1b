package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "local_kill",
	Origin: Local,
	Title:  "our own socket was destroyed on this host",
	Text: "Somebody with the right to do so destroyed the proxy's socket in this kernel: ss -K, a tool that uses SOCK_DESTROY (Cilium and some VPN clients do when a backend or an address goes), " +
		"or a BPF program. Neither peer had a part in it; both see a reset.",
	Advice: []string{
		"Look who ran ss -K or conntrack tools on this host: shell history, audit log",
		"If a network plug-in is in use, look in its log for backends that were removed at that time",
	},
	Alike:   []Alike{{"app_abort", "There the peer's socket is destroyed, on its own host"}},
	IETF:    4,
	HAProxy: "SD, CD", Envoy: "RemoteReset",
	Rule: func(c *Case) Finding {
		if c.errno() != evidence.ECONNABORTED {
			return Finding{}
		}
		return Finding{
			Strength: Conclusive,
			Sentence: say("the proxy's own socket towards %s was destroyed on this host", c.who()),
			For:      []Cite{saw("ECONNABORTED, which the kernel gives only when a socket is destroyed on its own host (tcp_abort)")},
		}
	},
})
