package record

import (
	"net/netip"

	"whyreset/diagnose/evidence"
	"whyreset/diagnose/render"
)

// Line is what the console shows of the connection, in the local time zone.
func (c *Connection) Line() render.Connection {
	line := render.Connection{
		Time: c.Start.Add(c.Duration).Local(), Listener: c.Listener, Duration: c.Duration, Verdict: &c.Verdict,
		Client: address(c.Downstream.Remote, "?"), Upstream: address(c.Upstream.Remote, address(c.Destination, c.Target)),
	}
	if c.Evidence == nil {
		return line
	}
	for i := range c.Evidence.Observations {
		o := &c.Evidence.Observations[i]
		t, ok := o.What.(evidence.Transfer)
		switch {
		case ok && o.Leg == evidence.Downstream:
			line.Received = t.In
		case ok && o.Leg == evidence.Upstream:
			line.Sent = t.In
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
