package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "peer_out_of_memory",
	Origin: Host,
	Title:  "the peer's kernel had no memory left for the connection",
	Text: "The kernel of the peer reset the connection because TCP memory, or the number of sockets without a process, was at its limit (TCP_ABORT_ON_MEMORY). " +
		"Only the kernel's own word tells; its packets look like any abort.",
	Advice: []string{
		"Look at the kernel log of that machine: 'TCP: out of memory', 'too many orphaned sockets'",
		"Compare net.ipv4.tcp_mem with the use in /proc/net/sockstat, and net.ipv4.tcp_max_orphans with the orphans there",
	},
	Alike: []Alike{{"app_abort", "It sends the same packet"}, {"app_close_unread", "It sends the same packet"}},
	IETF:  7, HAProxy: "SD, CD", Envoy: "RemoteReset",
	Beats:    []string{"app_abort", "app_close_unread", "abort_at_accept"},
	Unlabbed: "net.ipv4.tcp_mem and tcp_max_orphans are the whole machine's, and to reach them would cut the connections of everybody on it",
	Rule: func(c *Case) Finding {
		s := c.kernelSays(evidence.ReasonAbortOnMemory)
		if s == Silent {
			return Finding{}
		}
		return Finding{Strength: s, Sentence: say("the kernel of %s ran out of memory for TCP and reset the connection", c.who()), For: []Cite{c.citeKernel()}}
	},
})
