package relay

import (
	"cmp"
	"net/netip"

	"whyreset/diagnose/evidence"
	"whyreset/proxy/kernel"
)

// The two legs of a pair, and the flows named after the leg they come from.
const (
	down = 0 // the client's
	up   = 1 // the server's
)

type stage uint8

const (
	free       stage = iota
	barred           // the client's port is still taken, so it will be dialled again soon; nothing is read from it yet
	returned         // in a loop: it waits for its other end to go, or for what becomes known of it
	connecting       // the upstream's handshake is under way; nothing is read from the client yet
	open             // bytes flow
	flushing         // one leg is over by an error; the other still gets what that leg had sent
	closing          // both sides have sent their FIN; the last bytes are being delivered
)

// pair is one client with its server. It is of fixed size and owned by one loop; an idle one holds two
// descriptors and nothing else.
type pair struct {
	stage    stage
	queued   bool // in the loop's list of those that used up their turn
	counted  bool // by its source, see limits
	ours     bool // it is an upstream leg of another pair of ours
	cleared  bool // what held the client's port has been aborted for this pair
	nevents  uint8
	failures uint8 // addresses that could not be connected to
	index    uint32
	gen      uint32 // of this use of the slot; epoll tokens of an earlier use are stale
	timer    int32  // position in the loop's heap, -1 when out
	deadline int64
	number   uint64

	listener  *listener
	addresses []netip.AddrPort  // still to be tried
	meant     [1]netip.AddrPort // what addresses holds where the client's own aim is dialled
	accepted  int64             // ns on the relay's clock, as all times here
	active    int64             // last byte either way
	progress  int64             // flushing and closing: when the queue last shrank; barred: since when
	waiting   int64             // and how long it was then
	tick      int64             // and the present pause between looks

	legs   [2]leg
	flows  [2]flow
	events [maxEvents]event
	first  account // of both legs when the first ending was seen
	snaps  *[2]snapshot
	icmp   *icmpError
}

type leg struct {
	fd            int32 // -1: none, or closed
	readable      bool  // epoll said so, and no read has found the end of it yet
	writable      bool
	fin           bool // the far end sent its FIN
	eof           bool // and we have read up to it
	failed        bool // over by an error, which is latched in the events
	drained       bool // failed, and nothing is left to be read
	shut          bool // we sent our FIN
	urgent        bool // an urgent byte is, or was, on its way
	unsure        bool // so much was read since epoll's last word that the next byte may be an urgent one
	noDelay       bool
	noted         bool // its data is noted since the last ending of either leg
	local, remote netip.AddrPort
	transfer
	arrived uint64 // of in: what had arrived by that ending, and so is no news when it is read
}

// transfer counts what moved on one leg.
type transfer struct {
	in, out         uint64
	lastIn, lastOut int64
}

type account struct {
	at   int64
	legs [2]transfer
}

type snapshot struct {
	at              int64 // zero: not taken
	info            kernel.TCPInfo
	unread, unacked int
}

// icmpError is the last one of the connect phase.
type icmpError struct {
	at  int64
	own bool // its sender is this host
	kernel.ICMPError
}

// maxEvents bounds the story of one pair, and no story is longer. Before the first byte: accepted,
// connected, failed addresses up to maxFailures (further ones are not told), the last of them. Then each
// leg has one FIN and one error, passed on once each, and data before the first ending and between the
// two FINs; and there is at most one end of our own making. A client that comes back to its port takes two at most, and
// has no failed addresses.
const (
	maxEvents   = 24
	maxFailures = 6
)

type event struct {
	at    int64
	errno evidence.Errno
	leg   evidence.Leg
	call  evidence.Call
	saw   evidence.Saw
	did   evidence.Action // in place of call and saw
}

// name is the evidence's word for leg i.
func name(i int) evidence.Leg {
	if i == up {
		return evidence.Upstream
	}
	return evidence.Downstream
}

func (p *pair) note(e event) {
	p.events[p.nevents] = e
	p.nevents++
}

// noteEnd notes an ending and, before the first one, the account up to it: what has arrived counts,
// read or not. After any ending, data is worth a note again: it may be what the far end no longer wanted.
func (p *pair) noteEnd(e event) {
	isFirst := p.first.at == 0
	p.first.at = cmp.Or(p.first.at, e.at)
	for i := range p.legs {
		g := &p.legs[i]
		account := g.transfer
		if g.fd >= 0 && !g.over() {
			if n := kernel.Unread(int(g.fd)); n > 0 {
				account.in += uint64(n)
				account.lastIn = e.at
			} else if f := &p.flows[i]; g.fin && !g.failed && f.held() == 0 && !f.leased {
				g.eof = true // FIN is in order: with nothing left before it, a read would find the end and no more
			}
		}
		if !g.noted && account.in > g.arrived {
			p.note(event{at: e.at, leg: name(i), call: evidence.Poll, saw: evidence.Data})
		}
		g.noted, g.arrived = false, account.in
		if isFirst {
			p.first.legs[i] = account
		}
	}
	p.note(e)
}

// over is true when nothing more will be read from the leg.
func (g *leg) over() bool { return g.eof || g.drained }
