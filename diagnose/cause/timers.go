package cause

import (
	"strings"
	"time"

	"whyreset/diagnose/evidence"
)

// Timer is a timeout that a product in wide use has by default.
type Timer struct {
	Value    time.Duration
	Product  string
	Setting  string // its name there; empty when it has none to set
	Holder   Holder
	Shapes   string // letters of the shapes its end can have, see shape
	Source   string // where the value was read
	Verified bool   // read there; else from memory, and never told alone
}

// Holder is where a timer runs.
type Holder uint8

const (
	ByServer Holder = iota + 1 // in the service, or in a proxy in front of it
	ByClient                   // in the client, its pool, or a proxy in front of it
	ByPath                     // in a NAT box, firewall or load balancer between
)

// shape is how an end looks for which a timer may be to blame. A number alone names nobody: the same
// seconds have four owners and more.
//
//	A  a side ends an idle connection unasked, at T
//	B  our first bytes after a silence of at least T are answered with a reset
//	C  our bytes after a silence of at least T meet nothing at all
//	D  a side closes at T and bytes cross with its FIN
//	E  a side ends while an answer is outstanding, T after it was asked
type shape byte

// timedEnd reads the shape of the end, how long the silence was, and whether that is the timer's value
// (else it is at most that).
func (c *Case) timedEnd() (s shape, silence time.Duration, exact bool) {
	switch {
	case !c.established():
		return 0, 0, false
	case c.timedOut() && c.unacked() > 0 && !c.zeroWindow():
		return 'C', c.quietBefore(), false
	case c.answersUs() && c.quietBefore() >= staleAfter:
		return 'B', c.quietBefore(), false
	case (c.errno() == evidence.EPIPE || c.onWire() && c.reset() && c.FIN[c.Leg] != nil) && c.unacked() > 0:
		fin, _ := c.finAt()
		return 'D', fin - c.lastHeardBefore(fin), true
	case (c.isFIN() || c.reset()) && c.Leg == evidence.Upstream && c.clientSpokeLast():
		return 'E', c.Idle, true
	case c.isFIN() || c.reset():
		return 'A', c.Idle, true
	}
	return 0, 0, false
}

// lastHeardBefore is when the far end last sent a byte before the time given.
func (c *Case) lastHeardBefore(at time.Duration) time.Duration {
	t := c.transfer(c.Leg)
	if t.In > 0 {
		return min(t.LastIn, at)
	}
	return min(c.ConnectedAt, at)
}

// maxTimers bounds the list: a reader wants suspects, not a catalogue.
const maxTimers = 4

// Timers are the known timers that fit both how long the silence was and how the connection ended, a
// sentence each, the nearest first. One that was not verified is marked, and never stands alone.
func Timers(c *Case) []string {
	shape, silence, exact := c.timedEnd()
	if shape == 0 || silence < shortestTimer {
		return nil
	}
	var told []string
	verified := false
	for _, t := range nearest(silence) {
		if !strings.ContainsRune(t.Shapes, rune(shape)) || !t.held(c.Leg) || !fits(t.Value, silence, exact) || len(told) == maxTimers {
			continue
		}
		verified = verified || t.Verified
		told = append(told, t.sentence(silence, exact))
	}
	if !verified {
		return nil
	}
	return told
}

// shortestTimer is below the least value in the table.
const shortestTimer = 1500 * time.Millisecond

// fits allows one second or 2 %, and twice that upwards, for timers that tick coarsely. A silence that
// only bounds the timer from above fits all values within half of it: shorter ones would have struck before.
func fits(value, silence time.Duration, exact bool) bool {
	slack := max(time.Second, value/50)
	if value < 5*time.Second {
		slack = value / 5
	}
	if !exact {
		return value <= silence+slack && value >= silence/2
	}
	return silence >= value-slack && silence <= value+2*slack
}

func (t Timer) held(leg evidence.Leg) bool {
	switch t.Holder {
	case ByServer:
		return leg == evidence.Upstream
	case ByClient:
		return leg == evidence.Downstream
	}
	return true
}

func (t Timer) sentence(silence time.Duration, exact bool) string {
	name := t.Product
	if t.Setting != "" {
		name += " (" + t.Setting + ")"
	}
	fit := "is"
	if !exact {
		fit = "is within the silence of " + ms(silence) + ":"
	}
	s := say("%s %s the default of %s", seconds(t.Value), fit, name)
	switch t.Holder {
	case ByServer:
		s += "; the server must wait longer than the client keeps idle connections"
	case ByClient:
		s += "; that is right where the server waits longer"
	case ByPath:
		s += "; both ends must give up, or send keepalives, before it"
	}
	if !t.Verified {
		s += " (value not verified)"
	}
	return s
}

// seconds writes a timer's value as its owners do.
func seconds(d time.Duration) string {
	if d%time.Second != 0 {
		return d.String()
	}
	return say("%d s", int64(d/time.Second))
}
