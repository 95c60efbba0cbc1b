package cause

import (
	"net/netip"
	"time"

	"whyreset/diagnose/evidence"
)

// Case is evidence, read once: which ending is to be explained, and what had happened by then.
type Case struct {
	*evidence.Evidence

	End     evidence.Observation // the ending to explain; What is nil when there is none
	Leg     evidence.Leg         // its leg; NoLeg for what we did to both
	Ordered bool                 // no ending of the other leg was found at the same time
	Phase   Phase
	Idle    time.Duration // from the last byte either way, or the start, to the end

	Connected   bool                 // the upstream's handshake was complete
	ConnectedAt time.Duration        // when
	FIN         [3]*time.Duration    // by leg: when its FIN was seen, before or at the end; nil: not
	Down, Up    evidence.Transfer    // what had moved by the end
	Final       [3]evidence.Transfer // by leg: the last account
	Snap        [3]*evidence.Snapshot
	ICMP        *evidence.ICMP // of the connect phase
	Soft        *evidence.ICMP // the last about an open connection, which only packets show; nil: none

	// What must be there for a verdict that rests on something not having happened: one observation that
	// is missing must not turn a reset into a clean close, or a user into a health check.
	Accounted bool // the final account of both legs
	InOrder   bool // both legs, or the captured connection, were closed in order, without a reset or a FIN that is not seen here

	captured bool  // packets of the connection itself: nothing of ours stands between
	wire     *wire // packets of the ended leg; nil without any
	maker    maker // of the reset to be explained, by its packet
	kernel   *evidence.Kernel
	doubted  bool                 // kernel may be about another reset
	snaps    [3]evidence.Snapshot // what Snap points to
}

// Phase is what the connection was doing when it ended.
type Phase string

const (
	PhaseConnect Phase = "connect"
	NoData       Phase = "no_data"
	Outstanding  Phase = "request_outstanding" // the last byte came from the client, however long ago
	Responding   Phase = "responding"          // the last byte came from the server, at most RespondingFor ago
	IdlePhase    Phase = "idle"                // the last byte came from the server, longer ago
	HalfClosed   Phase = "half_closed"
	ClosingPhase Phase = "closing"
)

// RespondingFor parts an answer under way from an idle connection.
const RespondingFor = time.Second

// Read reads the evidence. The ending to explain is the first that is not a FIN; with none, the first FIN.
func Read(ev *evidence.Evidence) *Case {
	c := &Case{Evidence: ev, Ordered: true}
	end := c.findEnd()
	onWire := wireEnd{obs: -1, rst: -1}
	packets, captured, reset := watchedPackets(ev)
	c.captured = captured
	if packets && end < 0 || reset && end >= 0 && isFIN(ev.Observations[end]) {
		// A reset behind a FIN may have come when nobody asked the socket any more.
		if onWire = c.findEndOnWire(end < 0); onWire.obs >= 0 {
			end = onWire.obs
		}
	}
	c.readState(end)
	if end < 0 {
		return c
	}
	c.End = ev.Observations[end]
	c.Leg = c.End.Leg
	if c.onWire() {
		c.Leg = onWire.leg
	}
	if a, ok := c.End.What.(evidence.Action); ok && (a == evidence.IdleTimeout || a == evidence.Shutdown) {
		c.Leg = evidence.NoLeg
	}
	for _, o := range ev.Observations {
		if isEnding(o) && o.At == c.End.At && o.Leg != c.Leg && o.Leg != evidence.NoLeg && c.Leg != evidence.NoLeg {
			c.Ordered = false
		}
	}
	if packets {
		c.readWire(onWire)
	}
	c.readPhase()
	if c.wire.resetPacket() != nil {
		if s := c.Snap[c.Leg]; s != nil {
			c.wire.longest = s.RTT + 4*s.RTTVar
		}
		c.maker = c.wire.maker()
	}
	c.kernel = c.witnessed()
	return c
}

func isEnding(o evidence.Observation) bool {
	switch w := o.What.(type) {
	case evidence.Socket:
		return w.Saw == evidence.FIN || w.Saw == evidence.Error
	case evidence.Action:
		return w >= evidence.IdleTimeout
	}
	return false
}

// findEnd is the index of the ending to explain, or -1. A connect that failed on one address is no
// ending when the next one worked.
func (c *Case) findEnd() int {
	fin, hard := -1, -1
	for i, o := range c.Observations {
		if !isEnding(o) {
			if s, ok := o.What.(evidence.Socket); ok && s.Saw == evidence.Connected && o.Leg == evidence.Upstream {
				hard = -1 // connecting went on and succeeded
			}
			continue
		}
		if s, ok := o.What.(evidence.Socket); ok && s.Saw == evidence.FIN {
			if fin < 0 {
				fin = i
			}
			continue
		}
		if hard < 0 || (failedConnect(c.Observations[hard]) && failedConnect(o)) {
			hard = i // of several addresses the last one tried
		}
	}
	if hard >= 0 {
		return hard
	}
	return fin
}

func failedConnect(o evidence.Observation) bool {
	switch w := o.What.(type) {
	case evidence.Socket:
		return w.Saw == evidence.Error && w.Call == evidence.Connect
	case evidence.Action:
		return w == evidence.ConnectTimeout
	}
	return false
}

func (c *Case) readState(end int) {
	var accounts, fins, passed [3]bool
	closed, reset := false, false
	for i, o := range c.Observations {
		switch w := o.What.(type) {
		case evidence.Socket:
			switch {
			case w.Saw == evidence.Connected && o.Leg == evidence.Upstream:
				c.Connected, c.ConnectedAt = true, o.At
			case w.Saw == evidence.FIN:
				fins[o.Leg] = true
				if i <= end {
					c.FIN[o.Leg] = &c.Observations[i].At
				}
			}
			// Whatever a leg's read or write has told, it was connected.
			if o.Leg == evidence.Upstream && w.Call != evidence.Connect {
				c.Connected = true
			}
		case evidence.Action:
			closed = closed || w == evidence.Closed
			reset = reset || w == evidence.PassedReset
			passed[o.Leg.Other()] = passed[o.Leg.Other()] || w == evidence.PassedFIN
		case evidence.Transfer:
			accounts[o.Leg] = true
			c.Final[o.Leg] = w
			if end >= 0 && o.At <= c.Observations[end].At {
				c.setTransfer(o.Leg, w)
			}
		case evidence.Snapshot:
			c.snaps[o.Leg] = w
			c.Snap[o.Leg] = &c.snaps[o.Leg]
		case evidence.ICMP:
			if !w.OnWire {
				c.ICMP = &w
			}
		}
	}
	c.Accounted = accounts[evidence.Downstream] && accounts[evidence.Upstream]
	c.InOrder = closed && !reset
	for leg := range passed {
		c.InOrder = c.InOrder && (fins[leg] || !passed[leg])
	}
	if t := c.Final[evidence.Upstream]; t.In > 0 || t.Out > 0 {
		c.Connected = true
	}
	if end < 0 {
		return
	}
	// The account nearest to the end is the one taken at it, or the final one: bytes of the ending leg
	// that were read after its end had come before it. Between a FIN and a reset bytes may have gone out.
	at := c.Observations[end].At
	for leg := evidence.Downstream; leg <= evidence.Upstream; leg++ {
		t := c.Final[leg]
		if t.In > c.transfer(leg).In && (leg == c.Observations[end].Leg || t.LastIn <= at) {
			t.LastIn = min(t.LastIn, at)
			c.setTransfer(leg, t)
		} else if known := c.transfer(leg); t.Out > known.Out && t.LastOut <= at {
			known.Out, known.LastOut = t.Out, t.LastOut
			c.setTransfer(leg, known)
		}
	}
}

func (c *Case) setTransfer(leg evidence.Leg, t evidence.Transfer) {
	if leg == evidence.Upstream {
		c.Up = t
	} else {
		c.Down = t
	}
}

func (c *Case) transfer(leg evidence.Leg) evidence.Transfer {
	if leg == evidence.Upstream {
		return c.Up
	}
	return c.Down
}

func (c *Case) readPhase() {
	last := time.Duration(0)
	if c.Down.In > 0 {
		last = c.Down.LastIn
	}
	if c.Up.In > 0 {
		last = max(last, c.Up.LastIn)
	}
	if last == 0 && c.Connected {
		last = c.ConnectedAt
	}
	c.Idle = max(0, c.End.At-last)
	other := c.FIN[c.Leg.Other()]
	switch {
	case !c.Connected:
		c.Phase = PhaseConnect
	case c.FIN[evidence.Downstream] != nil && c.FIN[evidence.Upstream] != nil:
		c.Phase = ClosingPhase
	case !c.isFIN() && (c.FIN[c.Leg] != nil || other != nil || c.Leg == evidence.NoLeg && c.anyFIN()):
		c.Phase = HalfClosed
	case c.Down.In == 0 && c.Up.In == 0:
		c.Phase = NoData
	case c.clientSpokeLast():
		c.Phase = Outstanding
	case c.Idle <= RespondingFor:
		c.Phase = Responding
	default:
		c.Phase = IdlePhase
	}
}

func (c *Case) anyFIN() bool {
	return c.FIN[evidence.Downstream] != nil || c.FIN[evidence.Upstream] != nil
}

func (c *Case) clientSpokeLast() bool {
	return c.Down.In > 0 && (c.Up.In == 0 || c.Down.LastIn > c.Up.LastIn)
}

// Unfinished says that the connection goes on beyond the capture: nothing is known of an end, and nothing need have happened.
func (c *Case) Unfinished() bool { return c.captured && c.End.What == nil }

// isFIN says that the ending to explain is a FIN: nothing worse happened.
func (c *Case) isFIN() bool {
	return isFIN(c.End)
}

func isFIN(o evidence.Observation) bool {
	switch w := o.What.(type) {
	case evidence.Socket:
		return w.Saw == evidence.FIN
	case evidence.Packet:
		return w.Flags&(evidence.FINFlag|evidence.RST) == evidence.FINFlag
	}
	return false
}

// errno is the error of the ending to explain; zero when it is none.
func (c *Case) errno() evidence.Errno {
	if s, ok := c.End.What.(evidence.Socket); ok && s.Saw == evidence.Error {
		return s.Errno
	}
	return 0
}

// did says that the ending to explain is this doing of ours.
func (c *Case) did(a evidence.Action) bool {
	w, ok := c.End.What.(evidence.Action)
	return ok && w == a
}

// established says that the ending came after the upstream's handshake, or on the client's leg.
func (c *Case) established() bool { return c.Connected || c.Leg == evidence.Downstream }

// reset says that the leg was reset: by a RST behind a FIN (EPIPE) or without one.
func (c *Case) reset() bool {
	if c.onWire() {
		return c.established() && c.wire.resetPacket() != nil
	}
	e := c.errno()
	return c.established() && (e == evidence.ECONNRESET || e == evidence.EPIPE)
}

// peer is the far end of the leg that ended.
func (c *Case) peer() netip.Addr {
	if c.Leg == evidence.Upstream {
		return c.Server.Addr()
	}
	return c.Client.Addr()
}

// near says that the far end is on this very host: there is no path between, no box and no other host.
func (c *Case) near() bool { return c.peer().IsLoopback() }

// who names the far end of the leg in a sentence.
func (c *Case) who() string {
	var room [64]byte // for most addresses
	switch c.Leg {
	case evidence.Upstream:
		return string(appendAddr(append(room[:0], "upstream "...), c.Server))
	case evidence.Downstream:
		return string(appendAddr(append(room[:0], "client "...), c.Client))
	}
	if c.captured {
		return "the connection"
	}
	return "whyreset"
}

// appendAddr writes a as its String does.
func appendAddr(dst []byte, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return append(dst, a.String()...)
	}
	return a.AppendTo(dst)
}

// Lost is what the ended leg's far kernel had not acknowledged, plus what never left us.
func (c *Case) Lost() uint64 {
	n := uint64(0)
	if s := c.Snap[c.Leg]; s != nil {
		n += uint64(s.Outstanding)
	} else if lost := c.wire.lost(c.Leg); lost > 0 {
		n += uint64(lost)
	}
	if c.captured {
		return n
	}
	in, out := c.Final[c.Leg.Other()].In, c.Final[c.Leg].Out
	if in > out {
		n += in - out
	}
	return n
}
