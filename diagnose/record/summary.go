package record

import (
	"strconv"
	"time"

	"whyreset/diagnose/cause"
	"whyreset/diagnose/evidence"
)

// summary is what the observations come to, as single values that can be asked for. It repeats what the
// events and samples say.
type summary struct {
	errno evidence.Errno // of the ending that the verdict explains; zero: no error
	legs  [3]legSummary  // by evidence.Leg
}

type legSummary struct {
	counted, snapped bool
	received         bool // moved.In is known
	moved            evidence.Transfer
	snap             evidence.Snapshot
	idle             time.Duration // from the leg's last byte to the connection's end
}

func summarise(c *Connection) (s summary) {
	if c.Evidence == nil {
		return s
	}
	failed := false
	for i := range c.Evidence.Observations {
		o := &c.Evidence.Observations[i]
		if socket, ok := o.What.(evidence.Socket); ok {
			failed = failed || socket.Errno != 0
			continue
		}
		if stream, ok := o.What.(evidence.Stream); ok && wholeWay(&stream) {
			leg := &s.legs[stream.From]
			leg.received, leg.moved.In, leg.moved.LastIn = true, stream.Bytes, stream.LastDataAt
			leg.idle = max(0, c.Duration-stream.LastDataAt)
		}
		if o.Leg > evidence.Upstream {
			continue
		}
		leg := &s.legs[o.Leg]
		switch w := o.What.(type) {
		case evidence.Transfer:
			leg.counted, leg.received, leg.moved = true, true, w
			leg.idle = max(0, c.Duration-max(w.LastIn, w.LastOut))
		case evidence.Snapshot:
			leg.snapped, leg.snap = true, w
		}
	}
	if failed { // else the ending is no error, whichever it is
		if end, ok := cause.Read(c.Evidence).End.What.(evidence.Socket); ok {
			s.errno = end.Errno
		}
	}
	return s
}

// wholeWay says that the account is of what one far end sent the other: in a capture there is no proxy between.
func wholeWay(s *evidence.Stream) bool {
	return s.From != evidence.NoLeg && s.From <= evidence.Upstream && s.To == s.From.Other()
}

// code is the error as ECS has it, a string.
func (s *summary) code() string { return strconv.Itoa(int(s.errno)) }

// describes says that the evidence is of these legs, so that the legs' addresses are the evidence's.
func (c *Connection) describes() bool {
	ev := c.Evidence
	return ev != nil && ev.Client == c.Downstream.Remote && ev.OwnDown == c.Downstream.Local &&
		ev.Server == c.Upstream.Remote && ev.OwnUp == c.Upstream.Local
}

// stateNames are the kernel's, include/net/tcp_states.h, without TCP_.
var stateNames = [...]string{1: "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE",
	"CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV"}

func stateName(state uint8) string {
	if int(state) < len(stateNames) && state > 0 {
		return stateNames[state]
	}
	return strconv.Itoa(int(state))
}
