package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "ignored_reset",
	Origin: Path,
	Title:  "a reset that its receiver did not accept",
	Text: "A reset came by that lies outside what its receiver accepts, or that it never heard of, and the connection went on. " +
		"Late answers for an earlier connection of the same addresses look so, and attempts to cut one blindly, which RFC 5961 makes fail.",
	Advice:  []string{"Nothing to do; if they come often, look who forges them"},
	Alike:   []Alike{{"injected_reset", "There the receiver took it"}, {"port_reuse", "There it cleared an old connection away, so that the new one could begin"}},
	HAProxy: "--", Envoy: "Normal",
	Beats: []string{"clean_close", "idle_close"},
	Rule: func(c *Case) Finding {
		w := c.wire
		if w == nil || !c.onWire() || w.passed < 0 || w.rst >= 0 || c.oldConnection() {
			return Finding{}
		}
		if c.isFIN() && c.Leg == evidence.Upstream && c.clientSpokeLast() {
			return Finding{} // what came later matters more
		}
		r := &w.packets[w.passed]
		f := Finding{
			Strength: Likely,
			Sentence: say("a reset in the name of %s was not accepted; the connection went on", c.whose(r.From)),
			For:      []Cite{packets("a reset at %s: TTL %d, sequence number %d", ms(r.at), r.TTL, r.Seq)},
		}
		if to := w.upTo(r.To, w.passed); to.acks && !w.acceptable(w.passed) {
			f.For = append(f.For, packets("it lies %d from what its receiver waited for", int32(r.Seq-to.acked)))
		}
		sender, receiver := w.wentOn(r.From, w.passed), w.wentOn(r.To, w.passed)
		from, to := w.upTo(r.From, w.passed), w.upTo(r.To, w.passed)
		if open := (from.answers || to.answers) && from.acks && to.acks; open && sender && receiver {
			f.Strength = Conclusive
			f.For = append(f.For, packets("both ends went on with the connection afterwards"))
		} else if receiver {
			f.For = append(f.For, packets("its receiver went on with the connection afterwards"))
		}
		return f
	},
})

// wentOn says that an end sent something other than resets later than packets that were on their way.
func (w *wire) wentOn(end evidence.Leg, after int) bool {
	flight := w.flight(end)
	for i := after + 1; i < len(w.packets); i++ {
		if p := &w.packets[i]; p.From == end && p.ordinary() && p.at-w.packets[after].at > flight {
			return true
		}
	}
	return false
}

// whose names one of the two ends.
func (c *Case) whose(end evidence.Leg) string {
	if end == evidence.Upstream {
		return "upstream " + c.Server.String()
	}
	return "client " + c.Client.String()
}
