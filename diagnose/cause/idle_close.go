package cause

import (
	"time"

	"whyreset/diagnose/evidence"
)

var _ = register(Cause{
	ID:     "idle_close",
	Origin: Application,
	Title:  "closed in order after a silence",
	Text: "One side ended an idle connection with a FIN: a keep-alive or session timeout, most often. Harmless by itself. " +
		"It becomes the first half of the keep-alive race when the other side wants to use the connection in the same moment.",
	Advice: []string{
		"Nothing to do, unless clients complain of resets on reused connections: then let the side that reuses them give up first",
	},
	Alike: []Alike{
		{"closed_unanswered", "There the client's last bytes had no answer"},
		{"clean_close", "There no silence came before"},
	},
	HAProxy: "--", Envoy: "Normal",
	Beats: []string{"clean_close"},
	Rule: func(c *Case) Finding {
		if !c.isFIN() || !c.Connected || c.Idle < silence || c.FIN[c.Leg.Other()] != nil && *c.FIN[c.Leg.Other()] < c.End.At {
			return Finding{}
		}
		if c.Leg == evidence.Upstream && c.clientSpokeLast() || c.Leg == evidence.Downstream && c.Down.In == 0 {
			return Finding{}
		}
		return Finding{
			Strength: c.inOrder(),
			Sentence: say("%s closed the idle connection, %s after the last byte", c.who(), ms(c.Idle)),
			For:      []Cite{c.saw("a FIN after %s without a byte either way", ms(c.Idle))},
		}
	},
})

// silence is the least that counts as one. A server's timer of one second, the shortest in use, begins
// before its last byte has arrived here, so a little less than a second may have passed.
const silence = 900 * time.Millisecond
