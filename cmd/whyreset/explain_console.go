package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"whyreset/diagnose/render"
)

// explainConsole tells people: the lines for the causes, then the connections. What it must keep for that order is bounded by a number
// of connections for each cause of the catalogue; without that bound the connections come first.
type explainConsole struct {
	e       *explainer
	out     *bufio.Writer
	style   render.Style
	limit   int
	summary explainSummary
	kept    []keptStory
}

// keptStory is the text of a connection, which is much less than what it was made of.
type keptStory struct {
	number uint64
	text   []byte
}

func newExplainConsole(e *explainer, w io.Writer, style render.Style) *explainConsole {
	return &explainConsole{e: e, out: bufio.NewWriterSize(w, 64<<10), style: style, limit: e.options.limit}
}

func (t *explainConsole) tell(s *explainStory) error {
	n := t.summary.add(s)
	switch {
	case t.limit == 0:
		_, err := t.out.Write(t.text(s))
		return err
	case n <= t.limit:
		t.kept = append(t.kept, keptStory{uint64(s.Start.UnixNano()), slices.Clip(t.text(s))})
	}
	return nil
}

// text is the connection as it is told, with an empty line behind it.
func (t *explainConsole) text(s *explainStory) []byte {
	line := s.Line()
	line.Listener = s.place
	text := t.style.AppendWhy(t.style.AppendLine(nil, &line), &s.Verdict)
	if was := s.Earlier; was != nil {
		by := ""
		if was.Version != "" {
			by = ", by whyreset " + was.Version
		}
		text = t.style.AppendPoint(text, "changed", fmt.Sprintf("The record said %s, %s%s.", was.Cause, was.Confidence, by))
	} else if s.Evidence == nil {
		text = t.style.AppendPoint(text, "note", "The record does not carry its evidence: this is its own verdict.")
	}
	return append(t.style.AppendLadder(text, s.ladder()), '\n')
}

func (t *explainConsole) rest() error { return t.out.Flush() }

func (t *explainConsole) finish() error {
	t.out.WriteString(t.head())
	t.out.WriteString(t.summary.lines())
	t.out.WriteString(t.e.places.lines(t.limit))
	slices.SortStableFunc(t.kept, func(a, b keptStory) int { return int(min(1, max(-1, int64(a.number-b.number)))) })
	if len(t.kept) > 0 {
		t.out.WriteByte('\n')
	}
	for _, k := range t.kept {
		t.out.Write(k.text)
	}
	if left := t.summary.all - len(t.kept); t.limit > 0 && left > 0 {
		are := "are"
		if left == 1 {
			are = "is"
		}
		fmt.Fprintf(t.out, "%d more %s not told: --limit 0 tells each one, --format json too; --cause, --host, --port and --side choose\n", left, are)
	}
	return t.out.Flush()
}

// head says what was read, and how much of it is told.
func (t *explainConsole) head() string {
	var b strings.Builder
	connections := t.e.records
	for _, c := range t.e.captures {
		connections += c.connections
		b.WriteString(c.describe())
	}
	if t.e.records > 0 {
		fmt.Fprintln(&b, plural(t.e.records, "record"))
	}
	if b.Len() == 0 && t.e.failed {
		return "" // nothing was read, and that was told
	}
	what := "did not end clean"
	switch {
	case t.e.options.all && t.e.options.filter.empty():
		what = "are told"
	case !t.e.options.filter.empty():
		what = "pass the filters"
		if !t.e.options.all {
			what = "did not end clean and pass the filters"
		}
	}
	fmt.Fprintf(&b, "%d of %s %s\n", t.summary.all, plural(connections, "connection"), what)
	return b.String()
}

// describe says what a capture was, and what of it was not understood.
func (c *explainCapture) describe() string {
	var names []string
	for _, p := range c.parts {
		names = append(names, p.file.name)
	}
	if len(names) > 3 {
		names = append(names[:1], fmt.Sprintf("… %d more …", len(names)-2), names[len(names)-1])
	}
	text := fmt.Sprintf("%s: %s of %s", strings.Join(names, ", "), plural(c.frames, "frame"), plural(c.connections, "connection"))
	if !c.first.IsZero() {
		text += fmt.Sprintf(" in %s from %s", strings.TrimSpace(render.Duration(c.last.Sub(c.first))), c.first.Local().Format("2006-01-02 15:04:05"))
	}
	return text + c.passedOver + "\n"
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
