package relay

import (
	"syscall"
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/proxy/intercept"
	"whyreset/proxy/kernel"
)

// listener is one loop's share of a Listener.
type listener struct {
	Listener
	fd     int
	token  uint64
	asked  bool  // the local address must be asked for, for each connection
	resume int64 // paused until then; zero: accepting
	pause  time.Duration
	failed int64 // when this host last had no room for a connection
}

// Pauses after accept4 failed for want of descriptors or memory.
const (
	firstPause = 50 * time.Millisecond
	longPause  = time.Second // also how long all must go well until trouble counts as new
)

const legMask = kernel.PollIn | kernel.PollOut | kernel.PollPri | kernel.PollRdHup | kernel.PollEdge

func (l *loop) listen(ln Listener, fd int) kernel.Errno {
	mine := &listener{Listener: ln, fd: fd, token: listenerToken(len(l.listeners)), asked: ln.Way.Mode != intercept.Forward || ln.Address.Addr().IsUnspecified()}
	l.listeners = append(l.listeners, mine)
	l.relay.accepting.Add(1)
	return l.poll.Add(fd, kernel.PollIn, mine.token)
}

// accept takes one connection for each event: the listener is level-triggered, so the next one comes
// with the next wait, and no call is spent to hear EAGAIN. It returns what accept4 said.
func (l *loop) accept(ln *listener) kernel.Errno {
	fd, peer, errno := kernel.Accept(ln.fd)
	if errno != 0 {
		l.acceptFailed(ln, errno)
		return errno
	}
	if ln.pause != 0 && l.now-ln.failed > int64(longPause) {
		ln.pause = 0
		l.tell(Notice{Listener: ln.Name})
	}
	p := l.newPair()
	p.listener = ln
	g := &p.legs[down]
	g.fd, g.remote, g.local, g.writable, g.noDelay = int32(fd), peer, ln.Address, true, true
	if ln.asked {
		g.local = kernel.LocalAddr(fd)
	}
	p.note(event{at: l.now, leg: evidence.Downstream, call: evidence.Accept, saw: evidence.Connected})
	why := evidence.NoAction
	if ln.Way.Mode == intercept.Forward {
		p.addresses = ln.Target.Addresses()
	} else {
		why = p.aim()
	}
	switch {
	case l.poll.Add(fd, legMask, token(p, down)) != 0:
		l.refuse(p, evidence.Limit)
	case why != evidence.NoAction:
		l.refuse(p, why)
	case l.cameBack(p):
	case l.relay.limits.exceeded(p, l.relay.active.Load()):
		l.refuse(p, evidence.Limit)
	case len(p.addresses) == 0:
		ln.Target.reportFailure()
		l.refuse(p, evidence.ResolveFailed)
	default:
		l.dial(p)
	}
	return 0
}

// refuse ends a pair that never had an upstream, as our own doing.
func (l *loop) refuse(p *pair, why evidence.Action) {
	p.noteEnd(event{at: l.now, did: why})
	l.finish(p)
}

// acceptFailed pauses the listener when this host has no descriptors or memory left: it would spin.
// The queue keeps the waiting ones. Errors of the connection itself (accept(2): already gone) pass.
func (l *loop) acceptFailed(ln *listener, errno kernel.Errno) {
	switch errno {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
	default:
		return
	}
	first := ln.pause == 0
	ln.pause = min(max(firstPause, 2*ln.pause), longPause)
	ln.failed, ln.resume = l.now, l.now+int64(ln.pause)
	l.poll.Change(ln.fd, 0, ln.token)
	if first { // one notice for each time of trouble, not for each try
		l.tell(Notice{Listener: ln.Name, Errno: errno, Pause: ln.pause})
	}
}

func (l *loop) resume(ln *listener) {
	ln.resume = 0
	if ln.fd >= 0 {
		l.poll.Change(ln.fd, kernel.PollIn, ln.token)
	}
}

// stopAccepting takes what waits in the queues, which a close would reset, and closes the listeners.
func (l *loop) stopAccepting() {
	for _, ln := range l.listeners {
		if ln.fd < 0 {
			continue
		}
		for range kernel.Backlog { // no more can wait; new ones must not keep us here
			if errno := l.accept(ln); errno != 0 && errno != syscall.ECONNABORTED {
				break
			}
		}
		kernel.Close(ln.fd)
		ln.fd, ln.resume = -1, 0
		l.relay.accepting.Add(-1)
	}
}
