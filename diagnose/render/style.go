package render

import (
	"strconv"
	"unicode/utf8"

	"whyreset/diagnose"
)

// Style is how text is laid out. The zero value is DefaultWidth without colours.
type Style struct {
	Width  int // of the terminal, in characters; zero: it has none, lines are whole and prose takes DefaultWidth
	Colour bool
}

// DefaultWidth is that of prose where the terminal does not say.
const DefaultWidth = 100

// narrowest is the width below which prose is not wrapped any closer.
const narrowest = 40

func (s Style) lineWidth() int {
	if s.Width <= 0 {
		return DefaultWidth
	}
	return max(s.Width, narrowest)
}

// Colours, as the terminal's own palette has them (ECMA-48 SGR).
const (
	plain  = ""
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	faint  = "\x1b[2m"
	reset  = "\x1b[0m"
)

// colourOf is the colour of what the end cost somebody.
func colourOf(i diagnose.Impact) string {
	switch i {
	case diagnose.NoImpact:
		return plain
	case diagnose.UnknownImpact:
		return yellow
	}
	return red
}

func (s Style) paint(dst []byte, colour, text string) []byte {
	if !s.Colour || colour == plain {
		return append(dst, text...)
	}
	return append(append(append(dst, colour...), text...), reset...)
}

// clean makes text safe to print: one line, and nothing that a terminal would obey. That covers the C1
// controls and the marks that turn the direction of writing around, which are valid UTF-8.
func clean(text string) string {
	for i := 0; i < len(text); i++ {
		if text[i] < ' ' || text[i] >= 0x7f {
			return cleanSlow(text)
		}
	}
	return text
}

func cleanSlow(text string) string {
	out := make([]byte, 0, len(text)+16)
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			out = append(append(out, `\x`...), hex(text[i])...)
		case r == '\n' || r == '\t':
			out = append(out, ' ')
		case strconv.IsPrint(r):
			out = append(out, text[i:i+n]...)
		default:
			quoted := strconv.AppendQuoteRune(nil, r) // with its quotes
			out = append(out, quoted[1:len(quoted)-1]...)
		}
		i += n
	}
	return string(out)
}

func hex(b byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[b>>4], digits[b&15]})
}
