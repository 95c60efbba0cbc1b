package cause

var _ = register(Cause{
	ID:      "late_reset",
	Origin:  Application,
	Title:   "a reset after both sides had closed",
	Text:    "Both directions had been ended by a FIN and all bytes were acknowledged when the reset came. It destroys nothing: some clients and servers clear away their closing sockets so.",
	Advice:  []string{"Nothing to do"},
	Alike:   []Alike{{"write_after_close", "There bytes were still on their way"}},
	HAProxy: "--", Envoy: "Normal",
	Beats: []string{"app_abort", "app_close_unread", "stale_connection"},
	Rule: func(c *Case) Finding {
		// A FIN of ours that waits for its acknowledgement counts as one byte in SIOCOUTQ.
		if c.maker.forged >= Likely || c.Phase != ClosingPhase || !c.reset() || c.unacked() > 1 || c.unacked() < 0 {
			return Finding{}
		}
		return Finding{
			Strength: Likely,
			Sentence: say("%s reset the connection after both sides had closed it; nothing was lost", c.who()),
			For:      []Cite{c.saw("a FIN had come from both sides"), c.saw("nothing that was sent to it was unacknowledged")},
		}
	},
})
