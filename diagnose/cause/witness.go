package cause

import (
	"slices"
	"time"

	"whyreset/diagnose/evidence"
)

// witnessed is what the kernel told of the reset to be explained, when its sender's stack is in this kernel; nil otherwise. Of several
// that of a live socket made it, else the first: others answer what was still on its way.
func (c *Case) witnessed() *evidence.Kernel {
	if c.Leg == evidence.NoLeg || !c.reset() && !c.refused() {
		return nil
	}
	at, late := c.End.At, overtaking
	if r := c.wire.resetPacket(); r != nil {
		at = r.at
		// Of resets that the kernel has not made all, the word may be about another one than this, above all if this one is odd.
		c.doubted = c.wire.resetsOf(c.Leg) > c.wordsOn(c.Leg)
		if c.doubted && c.maker.forged >= Likely || c.wire.unstamped() {
			return nil
		}
		if c.wire.rttTo(c.Leg) >= 2*overtaking {
			late = 0 // it was on its way for longer than it takes to tell of it
		}
	}
	form := c.wire.form()
	var answer *evidence.Kernel
	for _, o := range c.Observations {
		k, ok := o.What.(evidence.Kernel)
		if !ok || !k.Sent || k.From != c.Leg || k.Reason == "" || o.At > at+late || at-o.At > witnessedBefore {
			continue
		}
		live := slices.Contains(aborted, k.Reason)
		switch {
		case form == noReset && !live:
			// A socket that is being closed leaves the table before it sends its reset (tcp_set_state), so a packet that comes
			// in between is answered first, as if nobody knew the connection.
			if answer == nil {
				told := k
				answer = &told
			}
		case form == noReset || (form == active) == live:
			told := k // the one copy: the others stay off the heap
			return &told
		default:
			return nil // the packet of the first was not seen: what it leaves to be explained is its consequence
		}
	}
	return answer
}

// unstamped says that the reset lacks the timestamp that its sender's live socket would have written, as in all packets of the connection
// (tcp_send_active_reset): what the kernel told was of another one.
func (w *wire) unstamped() bool {
	r := w.resetPacket()
	return w.form() == active && !r.HasTimestamp && !r.Cut && w.stamped(r.From)
}

// witnessedBefore is the longest that a reset is on its way from this machine to itself, through whatever delays it.
const witnessedBefore = time.Second

// reason says that the kernel gave one of these reasons for the reset.
func (c *Case) reason(any ...string) bool {
	return c.kernel != nil && slices.Contains(any, c.kernel.Reason)
}

// cleared says that the kernel made the reset for a reason of another cause.
func (c *Case) cleared(of ...string) bool { return c.kernel != nil && !c.doubted && !c.reason(of...) }

// aborted are the reasons for which a live socket sends a reset.
var aborted = []string{evidence.ReasonAbortOnClose, evidence.ReasonAbortOnLinger, evidence.ReasonAbortOnMemory, evidence.ReasonState,
	evidence.ReasonKeepaliveTimeout}

// citeKernel is what the kernel told, with the process where there is one.
func (c *Case) citeKernel() Cite {
	k := c.kernel
	text := say("this machine's kernel sent the reset: reason %s", k.Reason)
	if k.Process != "" {
		text += say(", by a call of %s (process %d)", k.Process, k.PID)
	}
	if k.Foreign {
		text += ", in another network namespace"
	}
	return Cite{Source: evidence.Witness, Says: text}
}

// destroyed says that a socket was destroyed from outside: tcp_abort finds it in the state that it lived in, where a close or a
// disconnect of its own leaves it closed first.
func (c *Case) destroyed() bool {
	return c.reason(evidence.ReasonState) && c.kernel.State != 0 && c.kernel.State != tcpClose && c.kernel.State != tcpListen
}

// States of include/net/tcp_states.h.
const (
	tcpClose  = 7
	tcpListen = 10
)

// kernelSays is how sure the kernel's word makes a cause that it names by one of these reasons; Silent when it does not. An answer to
// late packets has another reason than the reset that came before, so without the packet that shows which of the two it was, an
// answer's reason is not the last word.
func (c *Case) kernelSays(reasons ...string) Strength {
	switch {
	case !c.reason(reasons...):
		return Silent
	case c.doubted:
	case c.reason(aborted...) || c.wire.resetPacket() != nil:
		return Conclusive
	}
	return Likely
}

// wordsOn counts the resets that the kernel says an end has sent.
func (c *Case) wordsOn(end evidence.Leg) (n uint32) {
	for _, o := range c.Observations {
		if k, ok := o.What.(evidence.Kernel); ok && k.Sent && k.From == end {
			n++
		}
	}
	return n
}

// resetsOf counts the resets that came in the name of an end.
func (w *wire) resetsOf(end evidence.Leg) (n uint32) {
	for i := range w.packets {
		if p := &w.packets[i]; p.From == end && !p.ordinary() {
			n++
		}
	}
	if s := w.final[end]; s != nil {
		n = max(n, s.Resets)
	}
	return n
}
