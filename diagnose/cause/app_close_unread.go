package cause

import (
	"slices"
	"time"

	"whyreset/diagnose/evidence"
)

// What to do depends on who closed.
var (
	unreadByPeer = []string{
		"If the server answered early, let it read the rest before it closes (nginx lingering_close), or let the client wait for the answer before it sends the body",
		"Look for a crash, an OOM kill or a restart of the peer at that moment: journalctl, dmesg",
		"If the answer may be lost by it, remember that a reset also destroys answer bytes that the client had not read",
	}
	unreadByClient = []string{"A client that leaves: look for a timeout or a limit of its own, a user who cancelled, or a crash"}
)

var _ = register(Cause{
	ID:     "app_close_unread",
	Origin: Application,
	Title:  "the peer closed, or died, with our bytes unread",
	Text: "The peer's application closed its socket, exited or was killed while bytes of ours lay unread in it. Its kernel must tell us that they were lost, " +
		"and does so by a reset (RFC 2525 §2.17, RFC 1122 §4.2.2.13). Typical: a server that answers early (413, 401) and closes without reading the rest, " +
		"a worker killed with requests in its queue, a client that leaves in the middle of a download.",
	Advice: slices.Concat(unreadByPeer, unreadByClient),
	Alike: []Alike{
		{"app_abort", "SO_LINGER 0 sends the same packet; with nothing unread it is that"},
		{"write_after_close", "There the peer had closed first, and our later bytes met a closed socket"},
	},
	IETF: 4, HAProxy: "SD, CD", Envoy: "RemoteReset",
	Rule: func(c *Case) Finding {
		f := closedUnread(c)
		f.Advice = unreadByPeer
		if c.Leg == evidence.Downstream {
			f.Advice = unreadByClient
		}
		return f
	},
})

// closedUnread goes by the reset's own packet where it was seen, else by what our socket saw.
func closedUnread(c *Case) Finding {
	if c.cleared(evidence.ReasonAbortOnClose) {
		return Finding{}
	}
	if f := unreadOnWire(c); f.Strength != Silent {
		return f
	}
	if c.wire.form() != noReset {
		return Finding{}
	}
	if at, fin := c.finAt(); fin && c.reset() {
		return unreadBehindFIN(c, at)
	}
	if !c.abortLike() || c.out() == 0 {
		return Finding{}
	}
	f := Finding{
		Strength: Possible,
		Sentence: say("%s closed the connection with bytes of ours unread", c.who()),
		For:      []Cite{c.citeReset()},
		Against:  []Cite{saw("an abort with everything read sends the same reset")},
		Settle:   []string{"the window in the reset (evidence.packets)", "the kernel's reset reason on the peer's host"},
	}
	if c.windowShut() {
		f.Strength = Likely
		f.For = append(f.For, saw("its window had shrunk to %s: nobody was reading there", size(uint64(c.Snap[c.Leg].SndWnd))))
		f.Against = nil
	} else if s := c.Snap[c.Leg]; s != nil && s.NotSent > 0 && s.LastAckRecv < c.sinceOut() {
		// Not what is unacknowledged: a delayed acknowledgement leaves a request that was read so, too.
		// And where nothing of it was acknowledged, one who does not know the connection may have answered it.
		f.Strength = Likely
		f.For = append(f.For, saw("%s of ours were still waiting to be sent: it was cut in the middle of them", size(uint64(s.NotSent))))
	}
	return f
}

// unreadBehindFIN is for a peer that said FIN and then reset. Its order of events is certain: it ended its
// own direction first. A reset that does not answer late bytes of ours is that of a socket closed with
// something unread.
func unreadBehindFIN(c *Case, fin time.Duration) Finding {
	if c.out() == 0 {
		return Finding{}
	}
	f := Finding{
		Strength: Likely,
		Sentence: say("%s ended its answer and, %s later, closed the connection with bytes of ours unread", c.who(), ms(c.End.At-fin)),
		For:      []Cite{saw("a FIN, then a reset %s later (%s: the kernel's word for that order)", ms(c.End.At-fin), c.errno())},
		Settle:   []string{"the reset's own header (evidence.packets)"},
	}
	last := c.transfer(c.Leg).LastOut
	switch {
	case c.unacked() == 0:
		f.For = append(f.For, saw("its kernel had acknowledged all we sent, so the reset answers none of it"))
	case c.windowShut():
		f.For = append(f.For, saw("its window had shrunk to %s: nobody was reading there", size(uint64(c.Snap[c.Leg].SndWnd))))
	case fin-last > c.answerTime():
		f.For = append(f.For, saw("%s of ours had waited unacknowledged for %s before the FIN: nobody was reading there", size(uint64(c.unacked())), ms(fin-last)))
	case c.End.At-c.firstOutAfter(fin) > c.answerTime():
		f.For = append(f.For, saw("it went on taking our bytes after its FIN, and reset later than an answer to the first of them would have come"))
	case last <= fin && c.quietBefore() < staleAfter:
		f.Strength = Possible
		f.Against = []Cite{saw("our last bytes and its FIN may have crossed on the way")}
	default:
		return Finding{}
	}
	return f
}

// unreadOnWire reads the reset's own packet: what a live socket sends, with the window that closing leaves.
func unreadOnWire(c *Case) Finding {
	r := c.wire.resetPacket()
	if r == nil || !c.reset() {
		return Finding{}
	}
	f := Finding{
		Strength: Possible,
		Sentence: say("%s closed the connection with bytes sent to it unread", c.who()),
		For:      []Cite{c.citePacket()},
		Settle:   []string{"the kernel's reset reason on the peer's host"},
	}
	if s := c.kernelSays(evidence.ReasonAbortOnClose); s != Silent {
		f.Strength, f.For, f.Settle = s, append(f.For, c.citeKernel()), nil
		return f
	}
	if !c.abortLike() || c.out() == 0 {
		return Finding{}
	}
	fin, behindFIN := c.finAt()
	if behindFIN && lateBytesElsewhere(c, fin).Strength > Possible {
		return Finding{}
	}
	switch jump := c.windowJump(); {
	case jump >= 2:
		f.Strength = Likely
		f.For = append(f.For, packets("the window in it is %.1f times the one announced before: unread bytes were thrown away, and a reader would have announced room", jump))
	case jump > 1.02:
		f.Strength = Likely
		f.For = append(f.For, packets("the window in it is larger than the one announced before: unread bytes were thrown away"))
		f.Against = []Cite{packets("one who reads everything and aborts in the same moment leaves the same")}
	case behindFIN:
		f.Strength = Likely
		f.Sentence = say("%s ended its own direction and, %s later, closed the connection with bytes sent to it unread", c.who(), ms(r.at-fin))
		f.For = append(f.For, packets("a FIN, then the reset of a socket that was still there"))
	case c.wireWindowShut():
		f.Strength = Likely
		f.For = append(f.For, packets("it had announced no room for more: nobody was reading there"))
	default:
		f.Against = []Cite{packets("an abort with everything read sends the same reset")}
	}
	return f
}

// wireWindowShut says that the end which reset had no room left.
func (c *Case) wireWindowShut() bool {
	last := c.wire.lastOf(c.Leg)
	return last != nil && last.Window == 0 && !last.has(evidence.SYN)
}
