package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:      "clean_close",
	Origin:  Application,
	Title:   "closed in order",
	Text:    "Both sides ended their direction with a FIN and nothing was left unanswered or undelivered. This is how connections are meant to end.",
	Advice:  []string{"Nothing to do"},
	Alike:   []Alike{{"closed_unanswered", "There the client's last bytes had no answer"}, {"idle_close", "There a long silence came before"}},
	HAProxy: "--", Envoy: "Normal",
	Rule: func(c *Case) Finding {
		if !c.isFIN() || !c.Connected {
			return Finding{}
		}
		f := Finding{
			Strength: c.inOrder(),
			Sentence: c.who() + " closed the connection in order",
			For:      []Cite{{c.seen(), "a FIN from " + legName(c.Leg) + " and no error on either side"}},
		}
		if c.Leg == evidence.Upstream && c.clientSpokeLast() {
			f.Strength = Possible // the client had asked for something, or said farewell
		}
		return f
	},
})

// inOrder is how sure an end without harm can be: wholly, when the account is complete and nothing was
// reset afterwards.
func (c *Case) inOrder() Strength {
	if c.InOrder && c.Accounted {
		return Conclusive
	}
	return Possible
}

func legName(l evidence.Leg) string {
	if l == evidence.Upstream {
		return "the upstream"
	}
	return "the client"
}
