package relay

import (
	"net/netip"
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/proxy/intercept"
	"whyreset/proxy/kernel"
)

// A connection that is one of our own upstream legs, come back, has a record already: that of the pair the leg belongs to.
// So that pair is refused, as a loop, and what came back waits without a word until its far end, which is ours, is gone.

// returnPatience is how long the other pair's loop may take to refuse it. lookAgain is how long a loop may take between
// connect(2) and noting what it dialled.
const (
	returnPatience = time.Second
	lookAgain      = 20 * time.Millisecond
)

// cameBack says whether an accepted connection is an upstream leg of ours, and deals with it if so.
func (l *loop) cameBack(p *pair) bool {
	from := p.legs[down].remote
	if !p.listener.Way.Ours(from.Addr()) {
		return false
	}
	of, ours := l.relay.dialled.find(from, p.aimed())
	if !ours {
		return false
	}
	p.stage, p.ours = returned, true
	l.timers.set(p, l.now+int64(returnPatience))
	l.ask(wish{of, legHere})
	return true
}

// aimed is where the client dialled, as far as we know.
func (p *pair) aimed() netip.AddrPort {
	if p.listener.Way.Mode == intercept.Forward {
		return p.legs[down].local
	}
	return p.meant[0]
}

// looped refuses a pair whose upstream leg has come back. It waits a moment before it tells so, for it may be a turn of the
// loop itself, accepted before that could be known.
func (l *loop) looped(p *pair) {
	if p.stage == returned {
		return
	}
	l.snapshot(p)
	p.noteEnd(event{at: l.now, did: evidence.Looped})
	l.closeUpstream(p, kernel.Abort)
	p.queued = false
	if !l.cameBack(p) {
		p.stage = returned
		l.timers.set(p, l.now+int64(lookAgain))
	}
}

// gone is for a pair in stage returned whose other end has gone, or whose time is over.
func (l *loop) gone(p *pair, late bool) {
	switch {
	case late && p.ours: // somebody else has these addresses, or a loop of events is blocked: it has a record of its own
		p.ours = false
		l.refuse(p, evidence.Refused)
	case late && l.cameBack(p):
	default:
		l.finish(p)
	}
}
