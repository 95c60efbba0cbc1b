package cause

import "whyreset/diagnose/evidence"

var _ = register(Cause{
	ID:     "peer_keepalive_expired",
	Origin: Network,
	Title:  "the peer's keepalive gave up on the connection",
	Text: "The peer sent keepalive probes over an idle connection, got no answer to any, and reset it. If the answers were sent, they do not reach it: " +
		"the way back is cut, or a stateful device lets one direction pass and forgot the other.",
	Advice: []string{
		"Look for one-way loss between the two: a firewall's or NAT box's state, routes that differ by direction",
		"Capture at the peer: do the answers to its probes arrive there?",
	},
	Alike: []Alike{
		{"keepalive_unanswered", "There our own keepalive gives up"},
		{"app_abort", "There no probes come before"},
	},
	IETF: 14, HAProxy: "SD, CD", Envoy: "RemoteReset",
	Beats: []string{"app_abort", "app_close_unread"},
	Rule: func(c *Case) Finding {
		if !c.reset() || c.cleared(evidence.ReasonKeepaliveTimeout) {
			return Finding{}
		}
		s := c.kernelSays(evidence.ReasonKeepaliveTimeout)
		if s == Silent && (c.wire.form() != active || !c.maker.own()) {
			return Finding{}
		}
		f := Finding{
			Strength: Likely,
			Sentence: say("the keepalive of %s went unanswered, as it sees it, and it reset the connection", c.who()),
		}
		if c.wire.resetPacket() != nil {
			f.For = append(f.For, c.citePacket())
			probes, frozen := c.wire.probesBefore()
			if s == Silent && probes < 2 {
				return Finding{}
			}
			if probes > 0 {
				f.For = append(f.For, packets("its last %d packets were keepalive probes", probes))
			}
			if frozen && probes >= 2 {
				f.Strength = Conclusive
				f.For = append(f.For, packets("its timestamp echo stood still though newer packets were sent to it: they do not arrive"))
			}
		}
		if s != Silent {
			f.Strength = s
			f.For = append(f.For, c.citeKernel())
		}
		return f
	},
})

// probesBefore counts the keepalive probes that the end sent last before its reset. frozen says that it echoed no timestamp of what it
// was sent meanwhile: its view is not ours.
func (w *wire) probesBefore() (n int, frozen bool) {
	r := w.resetPacket()
	echo, stamped, newest, answered := uint32(0), false, uint32(0), false
	for i := w.rst - 1; i >= 0; i-- {
		p := &w.packets[i]
		if !p.ordinary() {
			break
		}
		if p.From == r.From {
			if !p.Probe || stamped && p.TSEcr != echo {
				break
			}
			echo, stamped, n = p.TSEcr, p.HasTimestamp, n+1
			continue
		}
		if p.Window == 0 {
			break // these are the probes of a shut window
		}
		if p.HasTimestamp && (!answered || after(p.TSVal, newest)) {
			newest, answered = p.TSVal, true
		}
	}
	return n, stamped && answered && r.HasTimestamp && r.TSEcr == echo && after(newest, echo)
}
