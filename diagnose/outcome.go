package diagnose

import (
	"time"

	"whyreset/diagnose/cause"
	"whyreset/diagnose/evidence"
)

// sideOf is the leg of the ending that is explained; what we did ourselves is nobody's.
func sideOf(c *cause.Case) Side {
	if a, ours := c.End.What.(evidence.Action); ours && a != evidence.ConnectTimeout {
		return SideProxy
	}
	switch c.Leg {
	case evidence.Upstream:
		return SideUpstream
	case evidence.Downstream:
		return SideDownstream
	}
	return SideUnknown
}

func actionOf(c *cause.Case, id string) Action {
	switch id {
	case "port_closed", "icmp_reject":
		if !c.Connected {
			return Refused
		}
	case "firewall_reject", "local_firewall", "proxy_limit":
		if !c.Connected && c.Leg == evidence.Upstream {
			return Refused
		}
	case "unreachable":
		return Unreachable
	case "ignored_reset", "port_reuse":
		return Closed // it ended nothing
	case "connect_timeout", "path_silent", "peer_not_reading", "keepalive_unanswered":
		return TimedOut
	}
	switch w := c.End.What.(type) {
	case nil:
		if c.Unfinished() {
			return Closed // of the words there are, the one that accuses nobody
		}
	case evidence.Socket:
		if w.Saw == evidence.FIN {
			return Closed
		}
	case evidence.Packet:
		if w.Flags&(evidence.FINFlag|evidence.RST) == evidence.FINFlag {
			return Closed
		}
	case evidence.Action:
		if w == evidence.IdleTimeout && c.InOrder {
			return Closed // else bytes were held for a side that did not read, and the end was a reset
		}
		switch w {
		case evidence.Refused, evidence.Limit, evidence.ResolveFailed,
			evidence.NotRedirected, evidence.Denied, evidence.Guarded, evidence.NotPermitted, evidence.PortTaken, evidence.Looped:
			return Refused
		}
	}
	return Reset
}

// harmless causes hurt nobody, whatever the numbers say.
var harmless = map[string]bool{"clean_close": true, "idle_close": true, "probe": true, "late_reset": true, "ignored_reset": true, "port_reuse": true}

// uploading is how recent the client's last byte must be for it to count as still sending.
const uploading = time.Second

// bulk is more than what a request without a body is made of.
const bulk = 64 << 10

// impactOf says what the end cost. It goes by who was owed something when it came: the client an answer,
// or the rest of one; the server the rest of what the client sent.
func impactOf(c *cause.Case, id string) Impact {
	switch {
	case harmless[id]:
		return NoImpact
	case c.Unfinished():
		return NoImpact
	case c.End.What == nil:
		return UnknownImpact
	case id == "write_after_close" && c.Leg == evidence.Downstream:
		return NoImpact // it had closed: what came later it did not want
	case id == "client_left" && c.Down.In == 0:
		return NoImpact // it wanted nothing yet
	case !c.Connected:
		return RequestUnanswered
	}
	lost := c.Lost()
	if down, up := c.Final[evidence.Downstream], c.Final[evidence.Upstream]; c.Leg == evidence.NoLeg && up.In > down.Out {
		return AnswerCut
	} else if c.Leg == evidence.NoLeg && down.In > up.Out {
		return UploadCut
	}
	switch c.Phase {
	case cause.Outstanding:
		if c.Leg != evidence.Downstream && lost > 0 && c.Down.In > bulk && c.End.At-c.Down.LastIn <= uploading {
			return UploadCut
		}
		if c.Leg == evidence.Downstream && c.Down.In > bulk && c.Up.In == 0 {
			return UploadCut
		}
		return RequestUnanswered
	case cause.Responding:
		if c.Leg == evidence.Downstream && lost == 0 {
			return NoImpact // all that had come for it was delivered before it left
		}
		return AnswerCut
	case cause.HalfClosed:
		switch {
		case c.FIN[evidence.Downstream] != nil && c.Leg != evidence.Downstream && lost <= 1 && answeredBefore(c, *c.FIN[evidence.Downstream]):
			return NoImpact // the client left with its answer, and a FIN counts as one byte
		case c.FIN[evidence.Downstream] != nil && c.Leg != evidence.Downstream:
			return AnswerCut // the client had asked and was listening
		case lost > 0 && c.Down.In > bulk:
			return UploadCut
		case lost > 0:
			return RequestUnanswered
		}
		return NoImpact
	case cause.NoData:
		if c.Leg == evidence.Downstream {
			return NoImpact
		}
		return UnknownImpact // whether the client wanted something is not known
	}
	if lost > 0 {
		return RequestUnanswered
	}
	return NoImpact
}

// answeredBefore says that the client ended its direction when the server had spoken last, and that nothing came afterwards: what it had
// asked for was there.
func answeredBefore(c *cause.Case, fin time.Duration) bool {
	return c.Up.In > 0 && c.Up.LastIn < fin && (c.Down.In == 0 || c.Down.LastIn < c.Up.LastIn)
}
