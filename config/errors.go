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
	Where   string // "FILE:LINE", "FILE", "env NAME", "flag --NAME", or "" when only the key is known
	Key     string // "timeouts.connect", "listeners[0].mode"; "" when the mistake is not in a key
	Value   string // the value as given
	Valued  bool   // false when there is no value to show, as for an unknown key
	What    string // what is wrong, as the end of a sentence that begins with the value
	Allowed string // what is allowed, "" when that follows from What
	Suggest string // what was probably meant, "" when there is no good guess

	line int // for the order of problems of one file
}

// String is the problem on one line: where, key, value, what, allowed, guess.
func (p Problem) String() string {
	var b strings.Builder
	for _, s := range []string{p.Where, p.Key} {
		if s != "" {
			b.WriteString(s + ": ")
		}
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

// asError orders the problems, drops repetitions and returns nil for none: a
// wrong value in the winning source is found both when it is read and when the
// whole is checked.
func asError(problems []Problem) error {
	type mistake struct{ where, key, what string }
	seen := map[mistake]bool{}
	var kept []Problem
	for _, p := range problems {
		if m := (mistake{p.Where, p.Key, p.What}); !seen[m] {
			seen[m] = true
			kept = append(kept, p)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	slices.SortStableFunc(kept, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.line, b.line))
	})
	return &Error{Problems: kept}
}

func rank(p Problem) int {
	switch {
	case p.Where == "":
		return 3
	case strings.HasPrefix(p.Where, "flag "):
		return 2
	case strings.HasPrefix(p.Where, "env "):
		return 1
	}
	return 0
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
