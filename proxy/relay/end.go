package relay

import (
	"syscall"
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/proxy/kernel"
)

// observe takes in epoll's bits for one leg of an established pair.
//
// The kernel tells an error once, to whoever asks first, so there is one owner: any call's errno goes
// to fail, and SO_ERROR is read only when epoll says that there is an error.
func (l *loop) observe(p *pair, i int, mask uint32) {
	g := &p.legs[i]
	if mask&kernel.PollPri != 0 {
		g.urgent = true
	}
	if mask&(kernel.PollIn|kernel.PollRdHup|kernel.PollHup|kernel.PollErr) != 0 {
		g.readable = true
	}
	if mask&kernel.PollOut != 0 {
		g.writable = true
	}
	// The errors that end a connection close the socket (tcp_done), so HUP comes with them. ERR alone is
	// an ICMP error in passing: to ask for it would make it one.
	if mask&kernel.PollErr != 0 && mask&kernel.PollHup != 0 {
		if errno := kernel.TakeError(int(g.fd)); errno != 0 {
			l.fail(p, i, errno, evidence.Poll)
		}
		return
	}
	// RDHUP without HUP is a FIN. With HUP the socket is closed, or both directions are: after our own
	// FIN that is the normal end, else an error was there and a call has latched it.
	if mask&kernel.PollRdHup != 0 && !g.fin && !g.failed {
		if mask&kernel.PollHup == 0 || g.shut {
			l.sawFIN(p, i, evidence.Poll)
		} else {
			l.checkState(p, i, evidence.Poll)
		}
	}
}

// checkState is for an end of stream whose kind no bit has told: a socket in CLOSE that did not get
// there by our own FIN was reset, and its error, if nobody took it, says how.
func (l *loop) checkState(p *pair, i int, call evidence.Call) {
	g := &p.legs[i]
	if g.shut || kernel.State(int(g.fd)) != kernel.StateClose {
		l.sawFIN(p, i, call)
		return
	}
	errno := kernel.TakeError(int(g.fd))
	if errno == 0 {
		errno = syscall.ECONNRESET
	}
	l.fail(p, i, errno, call)
}

// endOfStream is a read of nothing.
func (l *loop) endOfStream(p *pair, i int) {
	g := &p.legs[i]
	if !g.fin && !g.failed {
		l.checkState(p, i, evidence.Recv)
	}
	// A reset behind a FIN (EPIPE) leaves a clean end of stream in front of it: pass both on.
	if g.fin {
		g.eof = true
	} else {
		g.drained = true
	}
}

func (l *loop) sawFIN(p *pair, i int, call evidence.Call) {
	g := &p.legs[i]
	if g.fin {
		return
	}
	g.fin = true
	p.noteEnd(event{at: l.now, leg: name(i), call: call, saw: evidence.FIN})
}

// fail latches the first error of a leg.
func (l *loop) fail(p *pair, i int, errno kernel.Errno, call evidence.Call) {
	g := &p.legs[i]
	if g.failed {
		return
	}
	if errno == syscall.EPIPE {
		l.sawFIN(p, i, call) // tcp_reset: EPIPE only in CLOSE_WAIT, so a FIN came first
	}
	g.failed, g.readable = true, true // what came before the error can still be read
	p.noteEnd(event{at: l.now, leg: name(i), call: call, saw: evidence.Error, errno: evidence.Errno(errno)})
	l.snapshot(p)
}

// snapshot keeps TCP_INFO and the queues of both legs as they are at the first error: closing the
// other leg would change them.
func (l *loop) snapshot(p *pair) {
	if p.snaps == nil {
		p.snaps = new([2]snapshot)
		l.look(p, p.snaps)
	}
}

func (l *loop) look(p *pair, snaps *[2]snapshot) {
	for i := range p.legs {
		g, s := &p.legs[i], &snaps[i]
		*s = snapshot{}
		if g.fd < 0 || kernel.Info(int(g.fd), &s.info) != 0 {
			continue
		}
		s.at, s.unacked = l.now, unacked(int(g.fd), &s.info)
		if !g.over() {
			s.unread = kernel.Unread(int(g.fd))
		}
	}
}

// unacked is kernel.Unacked, without the call where TCP_INFO says already that there is nothing. Of a closed socket it does
// not: tcp_write_queue_purge has forgotten the packets, but not how many bytes were missing.
func unacked(fd int, info *kernel.TCPInfo) int {
	if info.State != kernel.StateClose && info.Unacked == 0 && info.NotSent == 0 {
		return 0
	}
	return kernel.Unacked(fd)
}

// settle looks, after bytes have moved, whether an end is to be passed on or the pair is over.
func (l *loop) settle(p *pair) {
	if p.stage == free {
		return
	}
	d, u := &p.legs[down], &p.legs[up]
	if d.failed && u.failed {
		l.finish(p)
		return
	}
	for x := range p.legs {
		if p.legs[x].failed {
			l.settleFailed(p, x)
			return
		}
	}
	for from := range p.flows {
		l.passFIN(p, from)
	}
	if d.fin && u.fin {
		l.settleClosing(p)
	}
}

// passFIN passes the source's FIN on, once all before it is with the destination's kernel.
func (l *loop) passFIN(p *pair, from int) {
	src, dst := &p.legs[from], &p.legs[1-from]
	if !src.eof || dst.shut || p.flows[from].held() > 0 {
		return
	}
	if dst.eof && p.legs[from].eof && p.flows[1-from].held() == 0 {
		return // the last FIN: settleClosing sends it, with close where it can
	}
	dst.shut = true
	p.note(event{at: l.now, leg: name(1 - from), did: evidence.PassedFIN})
	if errno := kernel.ShutdownWrite(int(dst.fd)); errno != 0 && errno != syscall.ENOTCONN {
		l.fail(p, 1-from, errno, evidence.Send)
	}
}

// settleFailed ends a pair whose leg x is over by an error: what x had sent is delivered to the other
// leg, then its FIN if there was one, and when the other's kernel has acknowledged all of it, the reset.
// What the other leg says meanwhile is a consequence; nothing of it can be delivered.
func (l *loop) settleFailed(p *pair, x int) {
	y := 1 - x
	dead, live := &p.legs[x], &p.legs[y]
	l.drop(&p.flows[y])
	if p.flows[x].held() > 0 || !dead.over() {
		if !p.queued { // neither moving nor over: the live leg is full
			l.waitFor(p, flushing, p.flows[x].held()+kernel.Unacked(int(live.fd)))
		}
		return
	}
	if dead.eof && !live.shut {
		live.shut = true
		p.note(event{at: l.now, leg: name(y), did: evidence.PassedFIN})
		kernel.ShutdownWrite(int(live.fd))
	}
	if left := kernel.Unacked(int(live.fd)); left > 0 {
		l.waitFor(p, flushing, left)
		return
	}
	l.finish(p)
}

// settleClosing ends a pair whose both sides have sent their FIN. It waits until the last bytes are
// acknowledged: closing earlier would hide a reset that destroys them.
func (l *loop) settleClosing(p *pair) {
	left := 0
	for i := range p.legs {
		if g := &p.legs[i]; !g.eof || p.flows[i].held() > 0 {
			left += p.flows[i].held() + kernel.Unread(int(g.fd)) + kernel.Unacked(int(p.legs[1-i].fd))
		}
	}
	if left > 0 {
		if !p.queued {
			l.waitFor(p, closing, left)
		}
		return
	}
	l.look(p, &l.last)
	changed := false
	for i := range p.legs {
		g := &p.legs[i]
		n := l.last[i].unacked
		if n > 0 && !g.shut {
			g.shut = true
			p.note(event{at: l.now, leg: name(i), did: evidence.PassedFIN})
			if errno := kernel.ShutdownWrite(int(g.fd)); errno != 0 && errno != syscall.ENOTCONN {
				l.fail(p, i, errno, evidence.Send)
			}
			n = kernel.Unacked(int(g.fd))
			changed = true
		}
		if g.shut {
			n-- // the FIN counts as one, and nobody misses it
		}
		left += max(0, n)
	}
	if p.legs[down].failed || p.legs[up].failed {
		l.finish(p)
		return
	}
	if left > 0 {
		l.waitFor(p, closing, left)
		return
	}
	if p.snaps == nil && !changed {
		p.snaps = &l.last
	}
	l.finish(p)
}

// Pauses between looks at a queue that somebody else empties.
const (
	firstLook = int64(time.Millisecond)
	lastLook  = int64(50 * time.Millisecond)
)

// waitFor waits until a queue of left bytes gets shorter. No event tells that the peer acknowledged
// (SOCK_NOSPACE is not set), so a timer looks; without progress for the flush timeout the pair ends.
func (l *loop) waitFor(p *pair, s stage, left int) {
	if p.stage != s || int64(left) != p.waiting {
		if p.stage != s {
			p.tick = firstLook
		}
		p.stage, p.waiting, p.progress = s, int64(left), l.now
	}
	limit := int64(l.relay.timeouts.Load().Flush)
	if limit > 0 && l.now-p.progress >= limit {
		i := down
		if p.legs[down].failed || (s == closing && kernel.Unacked(int(p.legs[down].fd)) <= 1) {
			i = up
		}
		l.snapshot(p)
		p.noteEnd(event{at: l.now, leg: name(i), did: evidence.FlushTimeout})
		p.legs[i].failed = true
		l.finish(p)
		return
	}
	if p.timer < 0 || p.deadline > l.now+lastLook {
		l.timers.set(p, l.now+p.tick)
		p.tick = min(2*p.tick, lastLook)
	}
}

func (l *loop) idleExpired(p *pair) {
	limit := int64(l.relay.timeouts.Load().Idle)
	if limit <= 0 {
		return
	}
	if due := p.active + limit; due > l.now {
		l.timers.set(p, due)
		return
	}
	p.noteEnd(event{at: l.now, did: evidence.IdleTimeout})
	if p.flows[down].held() > 0 || p.flows[up].held() > 0 {
		// A FIN behind a part of the stream would pass it off as the whole.
		p.legs[down].failed, p.legs[up].failed = true, true
	}
	l.finish(p)
}

// armIdle gives the pairs that carry bytes the deadline of a changed idle timeout, or takes it away.
func (l *loop) armIdle() {
	limit := int64(l.relay.timeouts.Load().Idle)
	for _, p := range l.pairs {
		if p.stage != open {
			continue
		}
		if l.timers.stop(p); limit > 0 {
			l.timers.set(p, p.active+limit)
		}
	}
}

// abortAll resets every pair: the proxy stops.
func (l *loop) abortAll() {
	for _, p := range l.pairs {
		if p.stage != free {
			l.snapshot(p)
			p.noteEnd(event{at: l.now, did: evidence.Shutdown})
			p.legs[down].failed, p.legs[up].failed = true, true
			l.finish(p)
		}
	}
}

// drop forgets what a flow holds.
func (l *loop) drop(f *flow) {
	l.dropRest(f)
	l.stopSplicing(f)
}

// finish closes both legs and reports the pair. An error on either leg, or a refusal, is passed on as a
// reset; with FINs from both sides, or our idle timeout with nothing held, the close is one in order.
func (l *loop) finish(p *pair) {
	if p.snaps == nil { // an end without error: nothing has changed since, no need to keep it apart
		p.snaps = &l.last
		l.look(p, p.snaps)
	}
	abort := p.legs[down].failed || p.legs[up].failed || p.legs[up].fd < 0
	how, did := kernel.Close, evidence.Closed
	if abort {
		how, did = kernel.Abort, evidence.PassedReset
	}
	for i := range p.legs {
		g := &p.legs[i]
		neverThere := g.fd < 0 || i == up && p.stage == connecting
		if neverThere || g.failed && kernel.State(int(g.fd)) == kernel.StateClose {
			continue // nobody is told
		}
		p.note(event{at: l.now, leg: name(i), did: did})
	}
	// Before anybody is told, or sees its leg closed: who then comes again must not meet a limit.
	l.relay.limits.ended(p)
	l.relay.active.Add(-1)
	if !p.ours { // what came back is told as the pair it came from
		l.summarise(p)
	}
	l.closeUpstream(p, how)
	how(int(p.legs[down].fd))
	l.drop(&p.flows[down])
	l.drop(&p.flows[up])
	l.timers.stop(p)
	p.stage, p.queued, p.snaps, p.icmp, p.addresses = free, false, nil, nil, nil
	l.free = append(l.free, p.index)
}
