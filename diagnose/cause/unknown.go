package cause

var _ = register(Cause{
	ID:     "unknown",
	Origin: Unknown,
	Title:  "no rule explains it",
	Text:   "The evidence fits no cause in the catalogue. It stands in the record whole, so that a later version can explain it anew.",
	Advice: []string{
		"Watch more: allow packets (CAP_NET_RAW) and the kernel witness, see evidence in the configuration",
		"Keep the record; a case that no rule explains is worth reporting",
	},
	Unlabbed: "what no rule explains cannot be done on purpose",
	Rule: func(c *Case) Finding {
		f := Finding{Strength: Possible, Sentence: "the connection ended in a way that no rule explains"}
		if c.Unfinished() {
			f.Sentence = "the capture holds no end of the connection"
		} else if c.End.What == nil {
			f.Sentence = "the connection is over and no end of it was seen"
		} else if e := c.errno(); e != 0 {
			f.Sentence = say("%s ended the connection with %s, which no rule explains", c.who(), e)
		}
		return f
	},
})
