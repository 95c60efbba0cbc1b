package render

import (
	"strings"
	"unicode/utf8"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/evidence"
)

// The why stands below its line: the sentence indented once, its reasons beside their labels.
const (
	indent     = "    "
	labelWidth = 9 // "against" and two spaces
)

// AppendWhy appends the explanation of a verdict, wrapped to the style's width: what happened, what it
// cost, the evidence for it and against, what it may be instead, what would settle that, known timers that
// fit, and what to do.
func (s Style) AppendWhy(dst []byte, v *diagnose.Verdict) []byte {
	p := paragraphs{Style: s, dst: dst}
	p.prose(sentence(v.Sentence))
	p.point("harm", harm[v.Impact])
	for _, c := range v.For {
		p.point(label(c.Source), sentence(c.Says))
	}
	for _, c := range v.Against {
		p.point("against", sentence(c.Says))
	}
	for _, id := range v.Alternatives {
		text := id
		if c, ok := cause.ByID(id); ok {
			text += ": " + c.Title
		}
		p.point("or", sentence(text))
	}
	for _, m := range v.Missing {
		p.point("missing", sentence(m))
	}
	for _, t := range v.Timers {
		p.point("timer", sentence(t))
	}
	for _, a := range v.Advice {
		p.point("try", sentence(a))
	}
	return p.dst
}

// AppendPoint appends one more reason below the others, beside a label of at most 7 characters.
func (s Style) AppendPoint(dst []byte, label, text string) []byte {
	p := paragraphs{Style: s, dst: dst}
	p.point(label, text)
	return p.dst
}

var harm = map[diagnose.Impact]string{
	diagnose.AnswerCut:         "The client got only part of an answer.",
	diagnose.RequestUnanswered: "A request got no answer.",
	diagnose.UploadCut:         "The upload did not arrive whole.",
	diagnose.UnknownImpact:     "Whether anything was lost cannot be told.",
}

// label says by which means something is known.
func label(s evidence.Source) string {
	switch s {
	case evidence.Packets:
		return "packets"
	case evidence.Witness:
		return "kernel"
	case evidence.Self:
		return "did"
	}
	return "seen"
}

// sentence gives text its full stop.
func sentence(text string) string {
	if text == "" || strings.HasSuffix(text, ".") || strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}

// paragraphs lays out text.
type paragraphs struct {
	Style
	dst []byte
}

func (p *paragraphs) prose(text string) {
	if text != "" {
		p.dst = append(p.dst, indent...)
		p.wrap(text, len(indent))
	}
}

// point writes one reason beside its label.
func (p *paragraphs) point(label, text string) {
	if text == "" {
		return
	}
	p.dst = p.paint(append(p.dst, indent...), faint, label)
	p.dst = appendSpaces(p.dst, labelWidth-len(label))
	p.wrap(text, len(indent)+labelWidth)
}

// wrap writes text from the current column on, and the rest below that column.
func (p *paragraphs) wrap(text string, column int) {
	room, used := p.lineWidth()-column, 0
	for word := range strings.FieldsSeq(clean(text)) {
		n := utf8.RuneCountInString(word)
		switch {
		case used == 0:
		case used+1+n > room:
			p.dst = appendSpaces(append(p.dst, '\n'), column)
			used = 0
		default:
			p.dst = append(p.dst, ' ')
			used++
		}
		p.dst, used = append(p.dst, word...), used+n
	}
	p.dst = append(p.dst, '\n')
}
