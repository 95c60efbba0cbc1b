package telemetry

import (
	"whyreset/diagnose/record"
	"whyreset/diagnose/render"
)

// appendConsole writes a connection for people: its line, and the why where it hurt.
func appendConsole(dst []byte, style render.Style, c *record.Connection) []byte {
	line := c.Line()
	dst = style.AppendLine(dst, &line)
	if c.Verdict.Harmful() {
		dst = style.AppendWhy(dst, &c.Verdict)
	}
	return dst
}

func appendNotice(dst []byte, style render.Style, n *record.Notice) []byte {
	text := n.Message
	if n.Error != "" {
		text += ": " + n.Error
	}
	return style.AppendNotice(dst, n.Time.Local(), string(n.Level), text)
}
