package record

import (
	"cmp"
	"net/netip"

	"whyreset/diagnose/evidence"
	"whyreset/diagnose/render"
)

// Line is what the console shows of the connection, in the local time zone.
func (c *Connection) Line() render.Connection {
	line := render.Connection{
		Time: c.Start.Add(c.Duration).Local(), Listener: c.Listener, Duration: c.Duration, Verdict: &c.Verdict,
		Client: address(c.Downstream.Remote, "?"), Upstream: address(c.Upstream.Remote, address(c.Destination, cmp.Or(c.Target, "?"))),
	}
	if c.Evidence == nil {
		return line
	}
	for i := range c.Evidence.Observations {
		o := &c.Evidence.Observations[i]
		leg, in := o.Leg, uint64(0)
		switch w := o.What.(type) {
		case evidence.Transfer:
			in = w.In
		case evidence.Stream:
			if !wholeWay(&w) {
				continue
			}
			leg, in = w.From, w.Bytes
		default:
			continue
		}
		switch leg {
		case evidence.Downstream:
			line.Received = in
		case evidence.Upstream:
			line.Sent = in
		}
	}
	return line
}

func address(a netip.AddrPort, other string) string {
	if a.IsValid() {
		return a.String()
	}
	return other
}
