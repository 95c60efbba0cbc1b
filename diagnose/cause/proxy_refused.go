package cause

import "whyreset/diagnose/evidence"

// What to do about each refusal.
const (
	adviceLoopForward        = "A loop in mode forward: correct the upstream, which must not be, directly or by a rule on the way, an address on which whyreset listens"
	adviceLoopByRules        = "A loop in modes redirect and tproxy: exempt the proxy's own connections from the rules"
	adviceNotRedirected      = "Not redirected: connect to the server's own address, and look whether the rules are in place"
	adviceDestinationRefused = "A refused destination: listeners[].allow, deny, own_addresses and link_local decide"
	advicePortInUse          = "The client's port in use: listeners[].on_conflict decides"
	adviceNoRight            = "No right to dial as the client: give CAP_NET_RAW or CAP_NET_ADMIN, and CAP_NET_BIND_SERVICE for clients with ports below 1024"
)

var _ = register(Cause{
	ID:     "proxy_refused",
	Origin: Proxy,
	Title:  "the proxy refused the connection",
	Text: "The proxy was not to carry this connection, or could not, and the sentence says which. It was a loop: what the proxy dialled for it came back to the proxy, and going on would make " +
		"one connection as many as there are ports. It was not redirected: in modes redirect and tproxy the rules of the kernel tell where a connection was to go, and this one came straight " +
		"to the listener. Its destination is refused by a list, or because such destinations are rarely meant and easily abused. Or the proxy has not the right to dial as the client, or not the client's port, and is not to take another.",
	Advice: []string{adviceLoopForward, adviceLoopByRules, adviceNotRedirected, adviceDestinationRefused, advicePortInUse, adviceNoRight},
	IETF:   9, HAProxy: "PC", Envoy: "NR",
	Rule: func(c *Case) Finding {
		a, _ := c.End.What.(evidence.Action)
		f := Finding{Strength: Conclusive}
		switch a {
		case evidence.Refused:
			f.Sentence = say("the proxy refused the connection from %s: it is one of the proxy's own, come back", c.Client)
			f.For = []Cite{did("its addresses are those of an upstream leg of ours")}
			f.Advice = []string{adviceLoopForward, adviceLoopByRules}
		case evidence.Looped:
			f.Sentence = say("the proxy refused the connection from %s: what it dials to %s comes back to itself, a loop", c.Client, c.Server)
			f.For = []Cite{did("a connection was accepted that has the addresses and ports of our own upstream leg")}
			f.Advice = []string{adviceLoopForward, adviceLoopByRules}
		case evidence.NotRedirected:
			f.Sentence = say("the proxy refused the connection from %s: it came straight to the listener, so there is nowhere to go on to", c.Client)
			f.For = []Cite{did("the kernel told no destination but the listener's own address")}
			f.Advice = []string{adviceNotRedirected}
		case evidence.Denied:
			f.Sentence = say("the proxy refused the connection from %s: it may not go to %s", c.Client, c.Server)
			f.For = []Cite{did("the destination is on the list deny, or not on the list allow")}
			f.Advice = []string{adviceDestinationRefused}
		case evidence.Guarded:
			f.Sentence = say("the proxy refused the connection from %s: it may go to %s only when asked for", c.Client, c.Server)
			f.For = []Cite{did("the destination is this host's own, link-local, a metadata service or no single host")}
			f.Advice = []string{adviceDestinationRefused}
		case evidence.NotPermitted:
			f.Sentence = say("the proxy refused the connection from %s: it has not the right to dial %s as the client", c.Client, c.Server)
			f.For = []Cite{did("the kernel refused the client's address or port, or the proxy's mark, before anything was sent")}
			f.Advice = []string{adviceNoRight}
		case evidence.PortTaken:
			f.Sentence = say("the proxy refused the connection from %s: the client's port is still in use here towards %s", c.Client, c.Server)
			f.For = []Cite{did("a connection from the client's address and port to the same destination is not over on this host, and listeners[].on_conflict is refuse")}
			f.Advice = []string{advicePortInUse}
		default:
			return Finding{}
		}
		return f
	},
})
