package render

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"whyreset/diagnose/evidence"
)

// Ladder is the packets of one connection, drawn one below the other between its two ends: the first ones, the last ones before the
// reset, and what came after it.
type Ladder struct {
	Left, Right         evidence.Leg // the two ends
	LeftName, RightName string
	Observations        []evidence.Observation
	Reset               uint64              // frame of the RST in question; zero: the first, if there is one
	Frame               func(uint64) string // how a frame is called; nil: by its number
}

// How much is drawn. A ladder is to be seen at one look.
const (
	ladderFirst  = 3 // the handshake
	ladderBefore = 9
	ladderAfter  = 6
)

// AppendLadder appends the drawing, and nothing if there are no packets between the two ends.
func (s Style) AppendLadder(dst []byte, l *Ladder) []byte {
	rungs := l.rungs()
	if len(rungs) == 0 {
		return dst
	}
	d := drawing{Style: s, dst: dst}
	d.measure(l, rungs)
	d.header(l)
	for i := range rungs {
		if n := rungs[i].before; n != 0 {
			d.gap(n)
		}
		if !rungs[i].left {
			d.rung(&rungs[i])
		}
	}
	return d.dst
}

// rung is one line: a packet, an ICMP error, or only the gap before it.
type rung struct {
	before int    // packets left out before it; negative: some, nobody counted them
	left   bool   // it is left out itself, and stands for the gap at the end
	frame  string // safe to print, as all text here
	at     time.Duration
	right  bool // goes to the right
	half   bool // comes from between the ends
	label  string
	ttl    uint8
	mark   string
	colour string
}

// drawing lays rungs out.
type drawing struct {
	Style
	dst                []byte
	frame, time, arrow int // widths
}

// What the arrows need for a label like "PSH ACK seq 4294967295 ack 4294967295 len 65535".
const (
	narrowestArrow = 40
	widestArrow    = 64
	ladderMarks    = 18 // TTL and the longest mark
)

func (d *drawing) measure(l *Ladder, rungs []rung) {
	d.frame, d.time = len("frame"), len("seconds")
	for i := range rungs {
		d.frame = max(d.frame, utf8.RuneCountInString(rungs[i].frame))
		d.time = max(d.time, len(seconds(rungs[i].at)))
	}
	d.arrow = min(widestArrow, max(narrowestArrow, d.lineWidth()-len(indent)-d.frame-d.time-6-ladderMarks))
}

func (d *drawing) header(l *Ladder) {
	left, right := clean(l.LeftName), clean(l.RightName)
	d.dst = append(d.dst, indent...)
	d.dst = d.paint(d.dst, faint, strings.Repeat(" ", d.frame-len("frame"))+"frame"+strings.Repeat(" ", 1+d.time-len("seconds"))+"seconds")
	d.dst = append(append(d.dst, "  "...), left...)
	d.dst = appendSpaces(d.dst, max(1, d.arrow+2-utf8.RuneCountInString(left)-utf8.RuneCountInString(right)))
	d.dst = append(d.dst, right...)
	d.dst = append(d.paint(append(d.dst, ' '), faint, "ttl"), '\n')
}

func (d *drawing) gap(n int) {
	text := "… packets …"
	if n == 1 {
		text = "… 1 packet …"
	} else if n > 1 {
		text = "… " + strconv.Itoa(n) + " packets …"
	}
	d.dst = appendSpaces(append(d.dst, indent...), d.frame+1+d.time+2)
	d.dst = append(d.dst, "│"...)
	room := max(0, d.arrow-utf8.RuneCountInString(text))
	d.dst = d.paint(appendSpaces(d.dst, room/2), faint, text)
	d.dst = append(appendSpaces(d.dst, room-room/2), "│\n"...)
}

func (d *drawing) rung(r *rung) {
	d.dst = append(d.dst, indent...)
	at := seconds(r.at)
	pad := strings.Repeat(" ", d.frame-utf8.RuneCountInString(r.frame))
	d.dst = d.paint(d.dst, faint, pad+r.frame+strings.Repeat(" ", 1+d.time-len(at))+at)
	d.dst = append(d.dst, "  │"...)
	d.dst = d.paint(d.dst, r.colour, r.arrow(d.arrow))
	d.dst = append(d.dst, "│"...)
	if r.ttl > 0 {
		ttl := strconv.Itoa(int(r.ttl))
		d.dst = append(appendSpaces(d.dst, 1+3-len(ttl)), ttl...)
	}
	if r.mark != "" {
		d.dst = d.paint(append(d.dst, ' '), r.colour, r.mark)
	}
	d.dst = append(d.dst, '\n')
}

// arrow is the rung between the two ends, n characters wide. One that comes from between begins there with a cross.
func (r *rung) arrow(n int) string {
	tail, blank := "─", 0
	label := " " + r.label + " "
	room := max(0, n-utf8.RuneCountInString(label)-2)
	if r.half {
		tail, blank = "×", max(0, room-4)
	}
	line, space := strings.Repeat("─", room-blank), strings.Repeat(" ", blank)
	if r.right {
		return space + tail + label + line + "▶"
	}
	return "◀" + line + label + tail + space
}

// seconds writes a time with microseconds, which is what captures have.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 6, 64) }
