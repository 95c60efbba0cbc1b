package render

import (
	"fmt"
	"strconv"
	"strings"

	"whyreset/diagnose/evidence"
)

// rungs are the lines to be drawn, what is left out counted.
func (l *Ladder) rungs() []rung {
	r := reading{Ladder: l, reset: -1}
	r.findBases()
	for i := range l.Observations {
		r.take(&l.Observations[i])
	}
	r.settle()
	return r.choose()
}

// reading makes rungs of observations.
type reading struct {
	*Ladder
	base    [3]uint32 // by leg: what relative sequence numbers count from
	all     []rung
	reset   int // index of the RST in question; -1: not met
	told    uint64
	streams uint64 // packets by the account that is being read
	begun   int    // the first rung since the last account
}

func (r *reading) between(from, to evidence.Leg) bool {
	return from == r.Left && to == r.Right || from == r.Right && to == r.Left
}

// findBases lets relative numbers begin as Wireshark does: 0 for a SYN, 1 for what comes first where no SYN was seen. A reset alone is
// no base: it may be forged.
func (r *reading) findBases() {
	const (
		byReset = iota + 1
		byAnswer
		byPacket
		bySYN
	)
	var known [3]int
	settle := func(leg evidence.Leg, how int, base uint32) {
		if how > known[leg] {
			known[leg], r.base[leg] = how, base
		}
	}
	for i := range r.Observations {
		p, ok := r.Observations[i].What.(evidence.Packet)
		if !ok || !r.between(p.From, p.To) {
			continue
		}
		switch {
		case p.Flags&evidence.RST != 0:
			settle(p.From, byReset, p.Seq)
			continue
		case p.Flags&evidence.SYN != 0:
			settle(p.From, bySYN, p.Seq)
		default:
			settle(p.From, byPacket, p.Seq-1)
		}
		if p.Flags&evidence.ACK != 0 {
			settle(p.To, byAnswer, p.Ack-1)
		}
	}
}

func (r *reading) take(o *evidence.Observation) {
	switch w := o.What.(type) {
	case evidence.Packet:
		if r.between(w.From, w.To) {
			r.settle()
			r.packet(o, &w)
		}
	case evidence.ICMP:
		if w.OnWire && (w.About == r.Left || w.About == r.Right) {
			r.icmp(o, &w)
		}
	case evidence.Stream:
		if r.between(w.From, w.To) {
			r.streams += w.Packets
		}
	}
}

// settle ends an account: what it counts more than was told is missing where the first packet says so.
func (r *reading) settle() {
	if r.streams == 0 {
		return
	}
	if missing := int(r.streams) - int(r.told); missing > 0 {
		for i := r.begun; i < len(r.all); i++ {
			if r.all[i].before < 0 {
				r.all[i].before = missing
				r.told += uint64(missing)
				break
			}
		}
	}
	for i := r.begun; i < len(r.all); i++ {
		r.all[i].before = max(0, r.all[i].before)
	}
	r.begun, r.streams = len(r.all), 0
}

func (r *reading) packet(o *evidence.Observation, p *evidence.Packet) {
	one := rung{frame: r.called(p.Frame), at: o.At, right: p.To == r.Right, ttl: p.TTL, label: r.label(p), mark: mark(p)}
	if !p.Copy {
		r.told++
	}
	if p.Sampled {
		one.before = -1
	}
	if r.reset < 0 && p.Flags&evidence.RST != 0 && (r.Reset == 0 || p.Frame == r.Reset) {
		r.reset = len(r.all)
		one.colour, one.mark = red, "◀ reset"
	} else if one.mark != "" {
		one.colour = yellow
	}
	r.all = append(r.all, one)
}

func (r *reading) icmp(o *evidence.Observation, e *evidence.ICMP) {
	kind := "ICMP"
	if e.IPv6 {
		kind = "ICMPv6"
	}
	r.all = append(r.all, rung{frame: r.called(e.Frame), at: o.At, right: e.About == r.Right, half: true, ttl: e.TTL, colour: red,
		label: clean(fmt.Sprintf("%s %d/%d from %s", kind, e.Type, e.Code, e.From))})
}

func (r *reading) called(frame uint64) string {
	switch {
	case r.Frame != nil:
		return clean(r.Frame(frame))
	case frame == 0:
		return ""
	}
	return strconv.FormatUint(frame, 10)
}

func (r *reading) label(p *evidence.Packet) string {
	text := flagWords(p.Flags) + " seq " + relative(p.Seq-r.base[p.From])
	if p.Flags&evidence.ACK != 0 {
		text += " ack " + relative(p.Ack-r.base[p.To])
	}
	if p.Payload > 0 {
		text += " len " + strconv.FormatUint(uint64(p.Payload), 10)
	}
	return text
}

func flagWords(f evidence.TCPFlags) string {
	names := [...]string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"}
	var words []string
	for i, name := range names {
		if f>>i&1 != 0 {
			words = append(words, name)
		}
	}
	if words == nil {
		return "no flags"
	}
	return strings.Join(words, " ")
}

// relative writes a distance: a little before the base is below zero, a lot is far ahead.
func relative(n uint32) string {
	const little = 1 << 24
	if back := -n; n != 0 && back <= little {
		return "-" + strconv.FormatUint(uint64(back), 10)
	}
	return strconv.FormatUint(uint64(n), 10)
}

// mark says what is special about a packet.
func mark(p *evidence.Packet) string {
	switch {
	case p.Copy:
		return "copy"
	case p.Probe:
		return "probe"
	case p.Repeat:
		return "sent again"
	case p.Window == 0 && p.Flags&(evidence.SYN|evidence.RST) == 0:
		return "window 0"
	case p.Cut:
		return "cut"
	}
	return ""
}

// choose leaves out what is neither at the beginning nor around the reset, or around the end if there was none.
func (r *reading) choose() []rung {
	pivot := r.reset
	if pivot < 0 {
		pivot = len(r.all) - 1
	}
	first, last := pivot-ladderBefore, pivot+ladderAfter
	if first == ladderFirst+1 {
		first-- // a line that says one is missing is no shorter than the one
	}
	if last == len(r.all)-2 {
		last++
	}
	var chosen []rung
	gap := 0
	add := func(n int) {
		if n < 0 || gap < 0 {
			gap = -1
		} else {
			gap += n
		}
	}
	for i := range r.all {
		one := r.all[i]
		add(one.before)
		if i >= ladderFirst && (i < first || i > last) {
			add(1)
			continue
		}
		one.before, gap = gap, 0
		chosen = append(chosen, one)
	}
	if gap != 0 {
		chosen = append(chosen, rung{before: gap, left: true})
	}
	return chosen
}
