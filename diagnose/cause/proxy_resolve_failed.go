package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "proxy_resolve_failed",
	Origin: Proxy,
	Title:  "the upstream's name has no address",
	Text:   "The upstream is configured by name, and no look-up of that name has given an address so far. There was nothing to dial, so the client was reset.",
	Advice: []string{
		"Look the name up on this host: getent ahosts NAME",
		"Check the spelling in listeners[].upstream, the search domains and the name server",
	},
	Alike: []Alike{{"port_closed", "There the name is known and the host refuses"}},
	IETF:  13, HAProxy: "SC", Envoy: "UH",
	Rule: ours(evidence.ResolveFailed, func(c *Case) Finding {
		return Finding{
			Sentence: "the proxy has no address for the upstream's name and reset the client",
			For:      []Cite{did("no look-up of the upstream's name has succeeded")},
		}
	}),
})
