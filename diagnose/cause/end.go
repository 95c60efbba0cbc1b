package cause

import (
	"fmt"
	"time"

	"whyreset/diagnose/evidence"
)

// What rules ask of the ending, in one place: what the sockets know of a reset is little, and each of
// these is a fact, not a guess.

// unacked is what the ended leg's far kernel had not acknowledged; -1 when it was not looked at.
func (c *Case) unacked() int64 {
	if s := c.Snap[c.Leg]; s != nil {
		return int64(s.Outstanding)
	}
	return c.wire.unacked()
}

// out and in are the accounts of the ended leg: bytes given to its far end, and got from it.
func (c *Case) out() uint64 { return c.transfer(c.Leg).Out }
func (c *Case) in() uint64  { return c.transfer(c.Leg).In }

// weSpokeLast says that the far end of the ended leg has been given bytes after the last it sent.
func (c *Case) weSpokeLast() bool {
	t := c.transfer(c.Leg)
	return t.Out > 0 && (t.In == 0 || t.LastOut >= t.LastIn)
}

// sinceOut is how long before the end we last gave the far end a byte.
func (c *Case) sinceOut() time.Duration { return max(0, c.End.At-c.transfer(c.Leg).LastOut) }

// quietBefore is how long the far end had been silent when we last gave it bytes.
func (c *Case) quietBefore() time.Duration {
	t := c.transfer(c.Leg)
	heard := c.ConnectedAt
	if c.Leg == evidence.Downstream {
		heard = 0
	}
	if t.In > 0 {
		heard = t.LastIn
	}
	return max(0, t.LastOut-heard)
}

// rtt is the smallest round trip the kernel measured on the ended leg; zero when it has none.
func (c *Case) rtt() time.Duration {
	if s := c.Snap[c.Leg]; s != nil {
		return s.MinRTT
	}
	if c.wire != nil {
		return c.wire.rttTo(c.Leg)
	}
	return 0
}

// windowShut says that the far end's kernel had no room for what we had given it: nobody was reading
// there. A reader would have announced room (tcp_cleanup_rbuf).
func (c *Case) windowShut() bool {
	s := c.Snap[c.Leg]
	return s != nil && s.SndWnd < shutWindow && s.Outstanding > s.SndWnd
}

// shutWindow is a quarter of the window that Linux announces before anything is unread (64 KB), and
// below that of every other stack known.
const shutWindow = 16 << 10

// finAt is when the ended leg's FIN came; ok is false when none did.
func (c *Case) finAt() (at time.Duration, ok bool) {
	if f := c.FIN[c.Leg]; f != nil {
		return *f, true
	}
	return 0, false
}

// answerTime is the longest that an answer to bytes of ours takes: the reset of a host that does not want
// them comes within it.
func (c *Case) answerTime() time.Duration {
	most := 3*c.rtt()/2 + answerSlack
	if s := c.Snap[c.Leg]; s != nil {
		most = max(most, s.RTT+4*s.RTTVar) // what TCP itself reckons with where round trips vary (RFC 6298 §2)
	}
	return most
}

// answerSlack is what queues and our own turn may add to a round trip.
const answerSlack = 20 * time.Millisecond

// firstOutAfter is when the first bytes from the other leg came after the time given: they went on to the
// ended leg at once. Without any it is the last time that bytes went there.
func (c *Case) firstOutAfter(at time.Duration) time.Duration {
	for _, o := range c.Observations {
		if s, ok := o.What.(evidence.Socket); ok && s.Saw == evidence.Data && o.Leg == c.Leg.Other() && o.At > at {
			return o.At
		}
	}
	return c.transfer(c.Leg).LastOut
}

// after says how long after the last byte the end came.
func (c *Case) after() string {
	if c.Idle == 0 {
		return "right after" // found in one batch
	}
	return ms(c.Idle) + " after"
}

// ms writes a duration as a person says it: three digits, no more.
func ms(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%d µs", d.Microseconds())
}

// size writes a number of bytes as a person says it.
func size(n uint64) string {
	switch {
	case n == 1:
		return "1 byte"
	case n < 10_000:
		return fmt.Sprintf("%d bytes", n)
	case n < 10_000_000:
		return fmt.Sprintf("%d kB", (n+500)/1000)
	}
	return fmt.Sprintf("%d MB", (n+500_000)/1_000_000)
}

// traffic says what had moved on the ended leg.
func (c *Case) traffic() string {
	return fmt.Sprintf("%s had come from it, %s had gone to it", size(c.in()), size(c.out()))
}

// citeReset is the observation itself: which call heard of the reset.
func (c *Case) citeReset() Cite {
	s, ok := c.End.What.(evidence.Socket)
	if !ok {
		return c.citePacket()
	}
	return saw("%s from %s after %s; %s", s.Errno, callName(s.Call), ms(c.End.At), c.traffic())
}

// citePacket is the reset's own packet. Only for a case that has it.
func (c *Case) citePacket() Cite {
	r := c.wire.resetPacket()
	kind := "a reset without ACK"
	if r.has(evidence.ACK) {
		kind = "a reset with ACK"
	}
	text := say("%s came from %s at %s: TTL %d, window %d", kind, c.who(), ms(r.at), r.TTL, r.Window)
	if !r.IPv6 {
		text += say(", IP ID %d", r.ID)
	}
	if s := r.Reset; s != nil && s.Text != "" {
		text += say(", and says %q", s.Text)
	}
	if s := r.Reset; s != nil && s.Diagnostic {
		text += say(", and gives cause code %d", s.Code)
		if s.Vendor != 0 {
			text += say(" of vendor %d", s.Vendor)
		}
	}
	if s := r.Reset; s != nil && s.MPTCP != 0 {
		text += say(", and gives MPTCP reason %d", s.MPTCP)
	}
	return packets("%s", text)
}

func callName(call evidence.Call) string {
	return map[evidence.Call]string{evidence.Accept: "accept", evidence.Connect: "connect", evidence.Recv: "a read",
		evidence.Send: "a write", evidence.Poll: "the socket"}[call]
}
