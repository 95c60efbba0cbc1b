package render

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"whyreset/diagnose"
)

// Connection is what one line tells.
type Connection struct {
	Time             time.Time // of its end, in the time zone to be shown
	Listener         string
	Client, Upstream string // addresses; Upstream may be a name that was not reached
	Received, Sent   uint64 // bytes from the client, and from the upstream
	Duration         time.Duration
	Verdict          *diagnose.Verdict
}

// A column has the width that its contents rarely exceed; one that does pushes the rest of its line.
type column struct {
	width int
	right bool
	text  func(*Connection) string
}

var (
	colTime     = &column{width: 12, text: func(c *Connection) string { return c.Time.Format("15:04:05.000") }}
	colClock    = &column{width: 8, text: func(c *Connection) string { return c.Time.Format("15:04:05") }}
	colListener = &column{width: 8, text: func(c *Connection) string { return clean(c.Listener) }}
	colEnds     = &column{width: 36, text: func(c *Connection) string { return clean(c.Client) + " → " + clean(c.Upstream) }}
	colHow      = &column{width: 11, text: func(c *Connection) string { return how(c.Verdict.Action) }}
	colCause    = &column{width: 22, text: func(c *Connection) string { return clean(c.Verdict.Cause) }}
	colSure     = &column{width: 10, text: func(c *Connection) string { return c.Verdict.Confidence.String() }}
	colReceived = &column{width: 7, right: true, text: func(c *Connection) string { return "↑" + Size(c.Received) }}
	colSent     = &column{width: 7, right: true, text: func(c *Connection) string { return "↓" + Size(c.Sent) }}
	colDuration = &column{width: 7, right: true, text: func(c *Connection) string { return Duration(c.Duration) }}
	columns     = []*column{colTime, colListener, colEnds, colHow, colCause, colSure, colReceived, colSent, colDuration}
)

// expendable is what a narrow terminal goes without, the first to go first: a column, or the longer form
// of one. What is left are the time, the addresses, the cause and how sure it is: 79 characters.
var expendable = []struct{ column, shorter *column }{
	{colSent, nil}, {colReceived, nil}, {colListener, nil}, {colTime, colClock}, {colDuration, nil}, {colHow, nil},
}

// fitting are the columns for a terminal of this width.
func fitting(width int) []*column {
	if width <= 0 {
		return columns
	}
	kept := slices.Clone(columns)
	for _, e := range expendable {
		if total(kept) <= width {
			break
		}
		i := slices.Index(kept, e.column)
		if e.shorter != nil {
			kept[i] = e.shorter
		} else {
			kept = slices.Delete(kept, i, i+1)
		}
	}
	return kept
}

func total(columns []*column) int {
	n := len(columns) - 1
	for _, c := range columns {
		n += c.width
	}
	return n
}

// AppendLine appends the line of a connection, with its newline.
func (s Style) AppendLine(dst []byte, c *Connection) []byte {
	colour := colourOf(c.Verdict.Impact)
	kept := fitting(s.Width)
	for i, col := range kept {
		if i > 0 {
			dst = append(dst, ' ')
		}
		text := col.text(c)
		pad := max(0, col.width-utf8.RuneCountInString(text))
		if col.right {
			dst = appendSpaces(dst, pad)
		}
		switch col {
		case colHow, colCause, colSure:
			dst = s.paint(dst, colour, text)
		case colTime, colClock:
			dst = s.paint(dst, faint, text)
		default:
			dst = append(dst, text...)
		}
		if !col.right && i < len(kept)-1 {
			dst = appendSpaces(dst, pad)
		}
	}
	return append(dst, '\n')
}

// AppendNotice appends the line of something that concerns the program itself.
func (s Style) AppendNotice(dst []byte, at time.Time, level, text string) []byte {
	dst = s.paint(dst, faint, at.Format("15:04:05.000"))
	colour := plain
	switch level {
	case "warn":
		colour = yellow
	case "error":
		colour = red
	}
	dst = s.paint(append(dst, ' '), colour, clean(level))
	return append(append(append(dst, ' '), clean(text)...), '\n')
}

func how(a diagnose.Action) string {
	switch a {
	case diagnose.TimedOut:
		return "timed out"
	}
	return clean(strings.TrimPrefix(string(a), "connection_"))
}

func appendSpaces(dst []byte, n int) []byte {
	for range n {
		dst = append(dst, ' ')
	}
	return dst
}
