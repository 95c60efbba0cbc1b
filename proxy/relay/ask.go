package relay

// wish is what a loop has found out about another one's pair, and is for that one to act upon.
type wish struct {
	of   owner
	what found
}

type found uint8

const (
	clientHere found = iota // its client has come back from the same port and needs it
	legHere                 // its upstream leg has come here: a loop
)

// ask has the pair's loop act. It waits for nobody, and nobody waits for an answer: what comes of it shows at the sockets.
func (l *loop) ask(w wish) {
	to := w.of.loop
	if to == l {
		l.grant(w)
		return
	}
	to.asking.Lock()
	to.asked = append(to.asked, w)
	to.asking.Unlock()
	to.orders.Or(orderAsked)
	to.poll.Wake() // its descriptor is open as long as any loop runs
}

// answer does what other loops have asked.
func (l *loop) answer() {
	l.asking.Lock()
	l.asked, l.answering = l.answering[:0], l.asked
	l.asking.Unlock()
	for _, w := range l.answering {
		l.grant(w)
	}
}

// grant acts, if the pair is still there.
func (l *loop) grant(w wish) {
	p := l.pairs[w.of.index]
	switch {
	case p.gen != w.of.gen || p.stage == free:
	case w.what == clientHere:
		l.clientBack(p)
	case w.what == legHere:
		l.looped(p)
	}
}
