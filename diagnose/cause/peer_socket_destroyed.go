package cause

var _ = register(Cause{
	ID:     "peer_socket_destroyed",
	Origin: Application,
	Title:  "a tool destroyed the peer's socket",
	Text: "The peer lives on this machine's kernel, and its socket was destroyed from outside while it was open: ss -K, a tool that uses SOCK_DESTROY " +
		"(network plug-ins do when a backend goes), or a BPF program. Its application did nothing; it reads ECONNABORTED.",
	Advice: []string{
		"Look who ran ss -K on this machine: shell history, audit log",
		"If a network plug-in is in use, look in its log for backends that were removed at that time",
	},
	Alike: []Alike{{"app_abort", "There the application itself aborts; its packets are the same, and only the kernel's word parts them"},
		{"local_kill", "There the proxy's own socket is destroyed"}},
	IETF: 4, HAProxy: "SD, CD", Envoy: "RemoteReset",
	Beats: []string{"app_abort", "app_close_unread", "abort_at_accept"},
	Rule: func(c *Case) Finding {
		if !c.destroyed() || c.doubted {
			return Finding{}
		}
		return Finding{
			Strength: Conclusive,
			Sentence: say("the socket of %s was destroyed by a tool while it was open", c.who()),
			For: []Cite{c.citeKernel(), {Source: c.citeKernel().Source,
				Says: "the socket was still open when it was reset: an application that closes or disconnects has it closed first (tcp_abort)"}},
		}
	},
})
