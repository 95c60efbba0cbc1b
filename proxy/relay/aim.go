package relay

import (
	"net/netip"

	"whyreset/diagnose/evidence"
	"whyreset/proxy/intercept"
	"whyreset/proxy/kernel"
)

// aim finds out where the client of a transparent listener meant to go, which is then the pair's only address. It
// returns that, or why there is nowhere to go.
func (p *pair) aim() (netip.AddrPort, evidence.Action) {
	d := &p.legs[down]
	to, why := p.listener.Way.Aim(int(d.fd), d.local)
	if why == intercept.NotRedirected {
		return to, evidence.NotRedirected
	}
	p.legs[up].remote = to // the record says it, whatever comes of it
	switch why {
	case intercept.Fine:
		p.meant[0] = to
		p.addresses = p.meant[:]
		return to, evidence.NoAction
	case intercept.Denied, intercept.NotAllowed:
		return to, evidence.Denied
	}
	return to, evidence.Guarded
}

// connect starts to connect as the listener's way wants it. An earlier connection from the client's port to the same place
// may have ended for the client and not yet for us; the server then sees another port, and the record tells it.
func (l *loop) connect(p *pair, to netip.AddrPort) (fd int, errno kernel.Errno) {
	way := &p.listener.Way
	client := p.legs[down].remote
	fd, errno = way.Dial(client, to, l.relay.opt.Socket)
	if !way.Conflict(errno) {
		return fd, errno
	}
	if fd >= 0 {
		kernel.Close(fd)
	}
	return way.DialOtherPort(client, to, l.relay.opt.Socket)
}
