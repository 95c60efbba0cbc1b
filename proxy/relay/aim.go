package relay

import (
	"whyreset/diagnose/evidence"
	"whyreset/proxy/intercept"
)

// aim finds out where the client of a transparent listener meant to go, which is then the pair's only address. It
// returns why there is nowhere to go.
func (p *pair) aim() evidence.Action {
	d := &p.legs[down]
	to, why := p.listener.Way.Aim(int(d.fd), d.local)
	if why == intercept.NotRedirected {
		return evidence.NotRedirected
	}
	p.legs[up].remote = to // the record says it, whatever comes of it
	switch why {
	case intercept.Fine:
		p.meant[0] = to
		p.addresses = p.meant[:]
		return evidence.NoAction
	case intercept.Denied, intercept.NotAllowed:
		return evidence.Denied
	}
	return evidence.Guarded
}
