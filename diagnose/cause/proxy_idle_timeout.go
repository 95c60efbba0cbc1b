package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "proxy_idle_timeout",
	Origin: Proxy,
	Title:  "our own idle timeout",
	Text: "No byte moved either way for as long as timeouts.idle allows, so the proxy ended the connection: with a FIN to both sides, " +
		"or with a reset where bytes were still held for a side that did not read.",
	Advice: []string{"Raise timeouts.idle, or set it to 0, if such silences are normal here"},
	Alike:  []Alike{{"idle_close", "There one of the peers closed"}},
	IETF:   14, HAProxy: "cD, sD", Envoy: "on_idle_timeout",
	Rule: ours(evidence.IdleTimeout, func(c *Case) Finding {
		return Finding{
			Sentence: say("the proxy closed the connection: nothing had moved for %s", ms(c.Idle)),
			For:      []Cite{did("our idle timeout (timeouts.idle) ran out %s after the last byte", ms(c.Idle))},
		}
	}),
})

// ours is a rule for something the proxy did itself: it knows what it did.
func ours(a evidence.Action, tell func(*Case) Finding) Rule {
	return func(c *Case) Finding {
		if !c.did(a) {
			return Finding{}
		}
		f := tell(c)
		f.Strength = Conclusive
		return f
	}
}
