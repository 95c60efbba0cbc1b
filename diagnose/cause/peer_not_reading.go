package cause

var _ = register(Cause{
	ID:     "peer_not_reading",
	Origin: Application,
	Title:  "the peer is there and does not read",
	Text: "The peer's kernel answers, but says that it has no room: its application has not read for so long that the buffers are full. " +
		"The user timeout (TCP_USER_TIMEOUT) then ended the connection.",
	Advice: []string{
		"Find out why the peer's application does not read: stuck, stopped (SIGSTOP), waiting for a lock, or simply slow",
		"If being slow is all right there, raise or remove timeouts.user",
	},
	Alike: []Alike{{"path_silent", "There the peer's kernel does not answer at all"}},
	IETF:  15, HAProxy: "sD, cD", Envoy: "LocalReset",
	Beats: []string{"path_silent"},
	Rule: func(c *Case) Finding {
		if !c.timedOut() || !c.zeroWindow() {
			return Finding{}
		}
		s := c.Snap[c.Leg]
		f := Finding{
			Strength: Likely,
			Sentence: say("%s stopped reading: %s waited for room that never came", c.who(), size(uint64(s.Outstanding))),
			For: []Cite{
				saw("its window was shut (0 bytes) with %s waiting", size(uint64(s.Outstanding))),
				saw("its kernel last answered %s before the end", ms(s.LastAckRecv)),
			},
		}
		if q := c.unanswered(); q.known && q.shut && q.asked == 0 {
			f.Strength = Conclusive
			f.For = append(f.For, packets("it answered to the last, %s before the end, and said each time that it had no room", ms(c.End.At-q.heard)))
		}
		return f
	},
})
