package relay

import (
	"net/netip"
	"syscall"

	"whyreset/diagnose/evidence"
	"whyreset/proxy/intercept"
	"whyreset/proxy/kernel"
)

// dial starts to connect to the next address of the upstream. The client's bytes wait in its socket
// meanwhile; its reset is seen at once and ends the dial.
func (l *loop) dial(p *pair) {
	p.stage = connecting
	to := netip.AddrPortFrom(p.addresses[0].Addr().Unmap(), p.addresses[0].Port()) // as the kernel will name it
	p.addresses = p.addresses[1:]
	l.dialAt(p, to)
}

func (l *loop) dialAt(p *pair, to netip.AddrPort) {
	g := &p.legs[up]
	*g = leg{fd: -1, remote: to, transfer: g.transfer}
	if told := l.relay.opt.Dialling; told != nil && p.listener.Way.Mode != intercept.Forward {
		told(to)
	}
	fd, errno, done := l.connect(p, to)
	if !done {
		return
	}
	p.stage, g.fd = connecting, int32(fd)
	if fd >= 0 && (errno == 0 || errno == syscall.EINPROGRESS) {
		g.local = kernel.LocalAddr(fd)
		l.relay.dialled.add(g.local, g.remote, l.owner(p))
		errno = l.poll.Add(fd, legMask, token(p, up))
	}
	if fd < 0 && p.listener.Way.Forbidden(errno) { // no answer of a firewall: nothing was sent
		l.refuse(p, evidence.NotPermitted)
		return
	}
	if errno != 0 {
		l.connectFailed(p, errno)
		return
	}
	if limit := l.relay.timeouts.Load().Connect; limit > 0 {
		l.timers.set(p, l.now+int64(limit))
	}
}

// connected takes the outcome of the connect from epoll: the socket's error is asked for only when
// there is one. An ICMP error may be queued while the state is still SYN_SENT (it came back before
// connect(2) returned); the kernel would try on, but the answer is known.
func (l *loop) connected(p *pair, mask uint32) {
	g := &p.legs[up]
	if mask&(kernel.PollErr|kernel.PollHup) != 0 {
		errno := kernel.TakeError(int(g.fd))
		if icmp, ok := kernel.TakeICMP(int(g.fd)); ok {
			p.icmp = &icmpError{l.now, p.listener.Way.Local(icmp.Offender), icmp}
			if errno == 0 {
				errno = icmp.Errno
			}
		}
		switch errno {
		case 0:
		case syscall.ECONNRESET, syscall.EPIPE:
			// tcp_reset: in SYN_SENT it would be ECONNREFUSED, so the handshake was complete.
			l.established(p)
			l.fail(p, up, errno, evidence.Poll)
			l.advance(p)
			return
		default:
			l.connectFailed(p, errno)
			return
		}
	}
	if mask&kernel.PollOut == 0 || neverConnected(mask) {
		return
	}
	l.established(p)
	l.observe(p, up, mask)
	l.advance(p)
}

// serverIsThere says whether the handshake is complete although epoll has not said so yet. It is asked
// when the client is gone: then what it had sent is still to be delivered, as it would be without us.
func (l *loop) serverIsThere(p *pair) bool {
	switch kernel.State(int(p.legs[up].fd)) {
	case kernel.StateEstablished, kernel.StateCloseWait:
		return true
	}
	return false
}

func (l *loop) established(p *pair) {
	g := &p.legs[up]
	kernel.EndConnectPhase(int(g.fd), g.remote.Addr())
	l.timers.stop(p)
	g.writable = true
	p.stage, p.addresses, p.icmp, p.active = open, nil, nil, l.now
	p.note(event{at: l.now, leg: evidence.Upstream, call: evidence.Connect, saw: evidence.Connected})
	l.awaitStart(p)
	if limit := l.relay.timeouts.Load().Idle; limit > 0 {
		l.timers.set(p, l.now+int64(limit))
	}
}

// neverConnected: EPOLLOUT with EPOLLHUP but no error is how a socket looks before connect(2).
func neverConnected(mask uint32) bool {
	return mask&kernel.PollHup != 0 && mask&(kernel.PollErr|kernel.PollRdHup) == 0
}

// connectFailed goes on to the next address, or gives up and resets the client: it must not take its
// connection for one that works.
func (l *loop) connectFailed(p *pair, errno kernel.Errno) {
	l.nextAddress(p, event{at: l.now, leg: evidence.Upstream, call: evidence.Connect, saw: evidence.Error, errno: evidence.Errno(errno)})
}

func (l *loop) connectTimedOut(p *pair) {
	l.nextAddress(p, event{at: l.now, leg: evidence.Upstream, did: evidence.ConnectTimeout})
}

// nextAddress goes on after a failed one. Only that of the last address is an ending.
func (l *loop) nextAddress(p *pair, failure event) {
	p.listener.Target.reportFailure()
	l.timers.stop(p)
	if len(p.addresses) == 0 {
		p.legs[up].failed = true
		p.noteEnd(failure)
		l.finish(p)
		return
	}
	if p.failures < maxFailures {
		p.failures++
		p.note(failure)
	}
	l.closeUpstream(p, kernel.Close)
	l.dial(p)
}

// closeUpstream closes the upstream leg, if there is one, and forgets its four-tuple.
func (l *loop) closeUpstream(p *pair, how func(int)) {
	g := &p.legs[up]
	if g.fd < 0 {
		return
	}
	l.relay.dialled.remove(g.local, g.remote, l.owner(p))
	how(int(g.fd))
	g.fd = -1
}
