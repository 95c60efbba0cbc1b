package watch

import (
	"net/netip"
	"slices"

	"whyreset/diagnose/evidence"
)

// end is an address and port as they stand in a packet: IPv4 is IPv4 also on an IPv6 socket, written here as
// ::ffff:a.b.c.d, and there are no zones. It has no pointers, so that many of them cost the garbage collector nothing.
// Zero is none.
type end struct {
	addr [16]byte
	port uint16
}

func endOf(a netip.AddrPort) end {
	if !a.IsValid() {
		return end{}
	}
	return end{a.Addr().As16(), a.Port()}
}

func (e end) loopback() bool { return netip.AddrFrom16(e.addr).Unmap().IsLoopback() }

// ends are those of one connection's two legs.
type ends struct {
	client, ownDown, ownUp, server end
	meant                          end // where the client's packets go, when that is not ownDown
}

func endsOf(c *Connection) ends {
	return ends{endOf(c.Down.Far), endOf(c.Down.Own), endOf(c.Up.Own), endOf(c.Up.Far), endOf(c.Meant)}
}

// keys are all addresses under which a reset of the connection may be found.
//
// A client on this machine whose connection was redirected knows the address that it meant and not ours, so the kernel
// tells of its resets with that. Of a reset for a listening socket tracefs tells only the port.
func (s *ends) keys(into *[8]addresses) []addresses {
	keys := into[:0]
	for _, p := range [...][2]end{{s.client, s.ownDown}, {s.server, s.ownUp}, {s.client, s.meant}} {
		for _, key := range [...]addresses{{p[0], p[1]}, {p[1], p[0]}} {
			if key.from != (end{}) && key.to != (end{}) && !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	for _, p := range [...]end{s.ownDown, s.server} {
		if p != (end{}) {
			keys = append(keys, addresses{from: end{port: p.port}})
		}
	}
	return keys
}

// fit is how an event fits a connection.
type fit uint8

const (
	fitNot     fit = iota
	fits           // between these ends
	fitUnclear     // it is of one of the legs, and nothing tells of which
)

// match says between which ends of the connection a reset went.
//
// The stack that tells of a reset is the sender's, or that of the one who accepted it. In transparent mode both legs may
// have the same four-tuple, once with us at one end of it and once at the other: then only the namespace tells our own
// socket from the far end's.
func (s *ends) match(e *event, own uint32) (from, to evidence.Leg, how fit) {
	if e.listener {
		return s.matchListener(e)
	}
	teller, other := e.from, e.to
	if !e.sent {
		teller, other = e.to, e.from
	}
	ours, far := evidence.NoLeg, evidence.NoLeg
	switch {
	case teller == s.ownDown && other == s.client:
		ours = evidence.Downstream
	case teller == s.ownUp && other == s.server:
		ours = evidence.Upstream
	}
	switch {
	case teller == s.client && other == s.ownDown, teller == s.client && s.meant != (end{}) && other == s.meant:
		far = evidence.Downstream
	case teller == s.server && other == s.ownUp:
		far = evidence.Upstream
	}
	told := e.netns != 0
	if told && e.netns != own {
		ours = evidence.NoLeg // these addresses mean somebody else there
		if teller.loopback() {
			far = evidence.NoLeg
		}
	}
	switch {
	case ours != evidence.NoLeg && far != evidence.NoLeg && !told:
		return 0, 0, fitUnclear
	case ours != evidence.NoLeg:
		far = ours
		from, to = evidence.NoLeg, far
	case far != evidence.NoLeg:
		from, to = far, evidence.NoLeg
	default:
		return 0, 0, fitNot
	}
	if !e.sent {
		from, to = to, from
	}
	return from, to, fits
}

// matchListener is for a reset of which only the sender's port is known.
func (s *ends) matchListener(e *event) (from, to evidence.Leg, how fit) {
	switch e.from.port {
	case s.server.port:
		return evidence.Upstream, evidence.NoLeg, fits
	case s.ownDown.port:
		return evidence.NoLeg, evidence.Downstream, fits
	}
	return 0, 0, fitNot
}
