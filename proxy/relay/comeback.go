package relay

import (
	"net/netip"
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/proxy/intercept"
	"whyreset/proxy/kernel"
)

// With source client an upstream leg has the client's own address and port, and a kernel keeps only one such towards one
// server. A client whose connection has ended for it, and not yet for us, may come back from the same port: then the leg of
// its old connection, which still delivers, is in the way. So may be what the kernel keeps of a leg that is closed (LAST_ACK,
// TIME_WAIT without timestamps), or another program's socket: these are nobody's to end.

// portPatience is how long what holds the client's port may take to end by itself: some round trips of most networks. For
// so long a client waits that is faster than its own last bytes, which would else be lost. Once the old leg has been
// aborted, it is how long its loop may take to do so.
const portPatience = 250 * time.Millisecond

// connect starts to connect as the listener's way wants it. When it is not done, the pair waits for the client's port or
// has been refused.
func (l *loop) connect(p *pair, to netip.AddrPort) (fd int, errno kernel.Errno, done bool) {
	way, client := &p.listener.Way, p.legs[down].remote
	fd, errno = way.Dial(client, to, l.relay.opt.Socket)
	taken, forbidden := way.Conflict(errno), fd < 0 && way.PortForbidden(errno)
	if !taken && !forbidden {
		return fd, errno, true
	}
	if fd >= 0 {
		kernel.Close(fd)
	}
	switch {
	case taken && way.OnConflict != intercept.OtherPort && l.awaitPort(p, to):
		return -1, 0, false
	case taken && way.OnConflict == intercept.Refuse:
		l.refuse(p, evidence.PortTaken)
		return -1, 0, false
	case forbidden && way.OnConflict == intercept.Refuse:
		l.refuse(p, evidence.NotPermitted)
		return -1, 0, false
	}
	p.note(event{at: l.now, leg: evidence.Upstream, did: evidence.OtherPort})
	fd, errno = way.DialOtherPort(client, to, l.relay.opt.Socket)
	return fd, errno, true
}

// awaitPort has the pair dial again soon, and has the old leg aborted once patience is at its end. It is false when there
// is nothing more to wait for.
func (l *loop) awaitPort(p *pair, to netip.AddrPort) bool {
	if p.stage != barred {
		p.stage, p.progress, p.tick = barred, l.now, firstLook
	}
	if l.now-p.progress >= int64(portPatience) {
		if p.cleared || p.listener.Way.OnConflict != intercept.AbortOld || !l.clear(p, to) {
			return false
		}
		p.cleared, p.progress, p.tick = true, l.now, firstLook
	}
	l.timers.set(p, l.now+p.tick)
	p.tick = min(2*p.tick, lastLook)
	return true
}

// clear has the leg aborted that holds the client's port, and is false when there is none to abort: a pair that took the port
// for another client's connection goes on, for its client is not the one that came back.
func (l *loop) clear(p *pair, to netip.AddrPort) bool {
	old, ours := l.relay.dialled.find(p.legs[down].remote, to)
	if !ours || !old.asClient {
		return false
	}
	p.note(event{at: l.now, leg: evidence.Upstream, did: evidence.AbortedOld})
	l.ask(wish{old, clientHere})
	return true
}

// clientBack aborts a pair whose client has come back from the same port.
func (l *loop) clientBack(p *pair) {
	// That the client can come back says that its old connection is over. How it ended may not have been seen yet, and
	// comes first.
	if d := &p.legs[down]; !d.failed && kernel.State(int(d.fd)) == kernel.StateClose {
		if errno := kernel.TakeError(int(d.fd)); errno != 0 {
			l.fail(p, down, errno, evidence.Poll)
		} else {
			l.checkState(p, down, evidence.Poll)
		}
	}
	l.snapshot(p)
	p.noteEnd(event{at: l.now, leg: evidence.Upstream, did: evidence.ClientBack})
	p.legs[down].failed, p.legs[up].failed = true, true
	l.finish(p)
}
