package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "probe",
	Origin: Application,
	Title:  "a client that connects, sends nothing and leaves",
	Text: "A health check, a port scan or a monitoring tool: it only wants to know whether the port is open. Some leave by a reset to save their kernel work " +
		"(HAProxy and Kubernetes probes among them). Harmless.",
	Advice:  []string{"Nothing to do; whose check it is, the client's address tells"},
	Alike:   []Alike{{"client_left", "There the upstream was not connected yet"}, {"abort_at_accept", "There the server leaves, not the client"}},
	HAProxy: "CD", Envoy: "Normal, RemoteReset",
	Beats: []string{"clean_close", "idle_close", "app_abort", "app_close_unread"},
	Rule: func(c *Case) Finding {
		if c.Leg != evidence.Downstream || !c.Connected || c.Down.In > 0 || c.FIN[evidence.Upstream] != nil {
			return Finding{}
		}
		if !c.isFIN() && !c.reset() || c.maker.forged >= Likely || c.maker.box >= Likely || c.onWire() && !c.wire.begins() {
			return Finding{}
		}
		f := Finding{
			Strength: Conclusive,
			Sentence: say("client %s connected, sent nothing and left after %s", c.Client, ms(c.End.At)),
			For:      []Cite{c.saw("not a byte came from the client before its %s", c.endWord())},
		}
		if c.reset() && !c.near() && !c.reason(aborted...) {
			f.Strength = Likely // a box between can reset, too
		}
		switch {
		case !c.Accounted && c.Blind() && c.wire.watched && c.wire.final[evidence.Downstream] != nil && c.Up.In == 0:
			f.Strength = Likely
		case !c.Accounted:
			f.Strength = Possible
		case c.Up.In > greeting:
			return Finding{} // it came for what the server sends unasked
		case c.Up.In > 0:
			f.Strength = Likely
			f.For = append(f.For, c.saw("the server had greeted it with %s", size(c.Up.In)))
		}
		return f
	},
})

// greeting is more than any protocol's server says before the client has spoken (SSH, SMTP, MySQL).
const greeting = 1 << 10

func (c *Case) endWord() string {
	if c.isFIN() {
		return "FIN"
	}
	return "reset"
}
