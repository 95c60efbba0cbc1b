package telemetry

import (
	"net/netip"

	"whyreset/diagnose/evidence"
	"whyreset/diagnose/record"
	"whyreset/diagnose/render"
)

// appendConsole writes a connection for people: its line, and the why where it hurt.
func appendConsole(dst []byte, style render.Style, c *record.Connection) []byte {
	line := render.Connection{
		Time: c.Start.Add(c.Duration).Local(), Listener: c.Listener, Duration: c.Duration, Verdict: &c.Verdict,
		Client: address(c.Downstream.Remote, "?"), Upstream: address(c.Upstream.Remote, address(c.Destination, c.Target)),
	}
	if c.Evidence != nil {
		for _, o := range c.Evidence.Observations {
			if t, ok := o.What.(evidence.Transfer); ok && o.Leg == evidence.Downstream {
				line.Received = t.In
			} else if ok {
				line.Sent = t.In
			}
		}
	}
	dst = style.AppendLine(dst, &line)
	if c.Verdict.Harmful() {
		dst = style.AppendWhy(dst, &c.Verdict)
	}
	return dst
}

func address(a netip.AddrPort, other string) string {
	if a.IsValid() {
		return a.String()
	}
	return other
}

func appendNotice(dst []byte, style render.Style, n *record.Notice) []byte {
	text := n.Message
	if n.Error != "" {
		text += ": " + n.Error
	}
	return style.AppendNotice(dst, n.Time.Local(), string(n.Level), text)
}
