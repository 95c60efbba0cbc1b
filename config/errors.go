package config

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Problem is one mistake in the configuration, said so that it can be mended
// without a look into the manual.
type Problem struct {
	At      Origin // where it stands; zero when that is not known
	Key     string // "timeouts.connect", "listeners[0].mode"; "" when the mistake is not in a key
	Value   string // the value as given
	Valued  bool   // false when there is no value to show, as for an unknown key
	What    string // what is wrong, as the end of a sentence that begins with the value
	Allowed string // what is allowed, "" when that follows from What
	Suggest string // what was probably meant, "" when there is no good guess
}

// String is the problem on one line: where, key, value, what, allowed, guess.
func (p Problem) String() string {
	var b strings.Builder
	if p.At != (Origin{}) {
		b.WriteString(printable(p.At.String()) + ": ")
	}
	if p.Key != "" {
		b.WriteString(printable(p.Key) + ": ")
	}
	if p.Valued {
		b.WriteString(quote(p.Value) + " ")
	}
	b.WriteString(p.What)
	if p.Allowed != "" {
		b.WriteString("; allowed: " + p.Allowed)
	}
	if p.Suggest != "" {
		b.WriteString("; did you mean " + p.Suggest + "?")
	}
	return b.String()
}

// Error is every mistake found, in the order of file lines, environment, flags.
// It is the only kind of error that Load and Validate return.
type Error struct {
	Problems []Problem // at least one
}

// Error is one line for each problem, without a final newline.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// asError orders the problems; it returns nil for none.
func asError(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.At.rank(), b.At.rank()), cmp.Compare(a.At.Line, b.At.Line))
	})
	return &Error{Problems: problems}
}

// rank puts problems of a known place before those of the whole.
func (o Origin) rank() OriginKind {
	if o.Kind == 0 {
		return FromFlag + 1
	}
	return o.Kind
}

// printable keeps terminal escapes out of messages.
func printable(s string) string {
	if q := strconv.Quote(s); q != `"`+s+`"` {
		return q
	}
	return s
}

// plain matches values that can stand in a sentence without quotes.
var plain = regexp.MustCompile(`^[A-Za-z0-9._:/\[\]-]+$`)

// quote shows a value, shortened: an error message is no place for a megabyte.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most] + "…"
	}
	if plain.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}
