package relay

import (
	"syscall"

	"whyreset/diagnose/evidence"
	"whyreset/proxy/kernel"
)

// flow is one direction of a pair, named after the leg it comes from. It holds at most one pipe or
// one buffer with bytes that the other leg did not take; while it holds any, nothing more is read.
type flow struct {
	pipe     kernel.Pipe
	piped    int  // bytes in the pipe
	leased   bool // pipe is ours
	splicing bool
	small    uint8 // fills in a row that were not worth a pipe
	rest     []byte
	sent     int  // of rest
	oob      bool // rest is one urgent byte
}

func (f *flow) held() int { return f.piped + len(f.rest) - f.sent }

// pump moves bytes of one flow until its source is empty, its destination full, or its turn over.
func (l *loop) pump(p *pair, from int) {
	f, src, dst := &p.flows[from], &p.legs[from], &p.legs[1-from]
	for moved := 0; ; {
		if dst.failed || dst.shut {
			return // nothing can be delivered any more; settle drops what is held
		}
		if f.held() > 0 {
			if !dst.writable || !l.unload(p, from) {
				return
			}
			continue
		}
		if src.over() || !src.readable {
			return
		}
		if moved >= turn {
			l.queue(p)
			return
		}
		if f.splicing {
			moved += l.fill(p, from)
		} else {
			moved += l.copy(p, from)
		}
	}
}

// copy reads once into the loop's buffer and sends at once; what the destination does not take is kept.
func (l *loop) copy(p *pair, from int) int {
	f, src := &p.flows[from], &p.legs[from]
	buf, urgent := l.buffer[:], false
	if src.urgent || src.unsure {
		// recv stops before the urgent byte, and would begin with it unmarked (SO_OOBINLINE). One that
		// comes into an empty queue has an edge of its own: it must not be read before that.
		if !src.fin && !src.failed && kernel.Unread(int(src.fd)) == 0 {
			src.readable, src.unsure = false, false
			return 0
		}
		if urgent = kernel.AtUrgentMark(int(src.fd)); urgent {
			buf = buf[:1]
		}
	}
	n, errno := kernel.Recv(int(src.fd), buf)
	switch {
	case errno == syscall.EAGAIN:
		src.readable = false
		src.drained = src.failed // no edge will come
		return 0
	case errno == syscall.EINTR:
		return 0
	case errno != 0:
		l.fail(p, from, errno, evidence.Recv)
		src.drained = true
		return 0
	case n == 0:
		l.endOfStream(p, from)
		return 0
	}
	l.took(p, from, n)
	switch {
	case n == len(l.buffer):
		f.splicing = l.lease(f)
		src.unsure = true
	case src.urgent, src.failed: // it may have stopped at the mark; after an error no edge comes
	case src.fin:
		src.eof = true // FIN is in order: with it known, a short read was the last
	default:
		src.readable, src.unsure = false, false // the next byte raises a new edge
	}
	if sent := l.send(p, from, buf[:n], urgent); sent < n {
		f.rest = append(l.restBuffer(), buf[sent:n]...)
		f.sent, f.oob = 0, urgent
	}
	return n
}

// fill moves bulk into the empty pipe; unload takes it from there.
func (l *loop) fill(p *pair, from int) int {
	f, src := &p.flows[from], &p.legs[from]
	n, errno := f.pipe.Fill(int(src.fd), f.pipe.Size)
	switch {
	case errno == syscall.EAGAIN:
		// Empty, or at an urgent byte: for splice the same.
		l.stopSplicing(f)
		src.readable = src.urgent
		return 0
	case errno == syscall.EINTR:
		return 0
	case errno != 0:
		l.stopSplicing(f)
		l.fail(p, from, errno, evidence.Recv)
		src.drained = true
		return 0
	case n == 0:
		// The end of the stream, or an urgent byte with the FIN already behind it.
		l.stopSplicing(f)
		return 0
	}
	f.piped = n
	l.took(p, from, n)
	if n >= copyBuffer {
		f.small = 0
	} else if f.small++; f.small == tooSmall {
		f.splicing = false // the pipe goes back when it is empty
	}
	return n
}

// tooSmall fills in a row below the copy buffer's size end splicing.
const tooSmall = 4

func (l *loop) lease(f *flow) bool {
	if !f.leased {
		f.pipe, f.leased = l.pipes.lease(l.now)
		f.small = 0
	}
	return f.leased
}

// stopSplicing gives the pipe back; invariant: it is empty, or its bytes are lost anyway.
func (l *loop) stopSplicing(f *flow) {
	if f.leased {
		l.pipes.giveBack(f.pipe, f.piped)
	}
	f.leased, f.splicing, f.piped, f.small = false, false, 0, 0
}

// took accounts for n bytes read from a leg.
func (l *loop) took(p *pair, from, n int) {
	src := &p.legs[from]
	src.in += uint64(n)
	if !src.noted && src.in > src.arrived {
		src.noted = true
		p.note(event{at: l.now, leg: name(from), call: evidence.Recv, saw: evidence.Data})
	}
	src.lastIn, p.active = l.now, l.now
}

// unload gives the destination what the flow holds; false when it does not take all of it now.
func (l *loop) unload(p *pair, from int) bool {
	f, dst := &p.flows[from], &p.legs[1-from]
	if len(f.rest) > 0 {
		f.sent += l.send(p, from, f.rest[f.sent:], f.oob)
		if f.sent < len(f.rest) {
			return false
		}
		l.dropRest(f)
		return true
	}
	for f.piped > 0 {
		l.hurry(dst)
		n, errno := f.pipe.Drain(int(dst.fd), f.piped)
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			l.refused(p, 1-from, errno)
			return false
		}
		f.piped -= n
		l.gave(p, dst, n)
	}
	if !f.splicing {
		l.stopSplicing(f)
	}
	return true
}

// send writes to the flow's destination and returns how much it took.
func (l *loop) send(p *pair, from int, b []byte, urgent bool) int {
	dst := &p.legs[1-from]
	if !dst.writable {
		return 0
	}
	l.hurry(dst)
	var n int
	var errno kernel.Errno
	if urgent {
		n, errno = kernel.SendUrgent(int(dst.fd), b)
	} else {
		n, errno = kernel.Send(int(dst.fd), b)
	}
	if errno != 0 { // never EINTR: sk_stream_wait_memory looks for a signal only when it may wait
		l.refused(p, 1-from, errno)
		return 0
	}
	l.gave(p, dst, n)
	if n < len(b) {
		dst.writable = false // the socket has SOCK_NOSPACE now: an edge will tell
	}
	return n
}

func (l *loop) gave(p *pair, dst *leg, n int) {
	dst.out += uint64(n)
	dst.lastOut, p.active = l.now, l.now
}

// refused takes the error of a write: a full queue, or the end of the leg.
func (l *loop) refused(p *pair, to int, errno kernel.Errno) {
	p.legs[to].writable = false
	if errno != syscall.EAGAIN {
		l.fail(p, to, errno, evidence.Send)
	}
}

// hurry sets TCP_NODELAY before the second write: the first has nothing unacknowledged before it, so
// Nagle would not hold it, and many connections have no second.
func (l *loop) hurry(dst *leg) {
	if !dst.noDelay && dst.out > 0 {
		dst.noDelay = true
		kernel.NoDelay(int(dst.fd))
	}
}

// restBuffer is an empty buffer that holds one read.
func (l *loop) restBuffer() []byte {
	if n := len(l.rests); n > 0 {
		b := l.rests[n-1]
		l.rests = l.rests[:n-1]
		return b
	}
	return make([]byte, 0, copyBuffer)
}

func (l *loop) dropRest(f *flow) {
	if cap(f.rest) == copyBuffer && len(l.rests) < keepPipes {
		l.rests = append(l.rests, f.rest[:0])
	}
	f.rest, f.sent, f.oob = nil, 0, false
}
