package record

import (
	"fmt"
	"strconv"
	"strings"

	"whyreset/diagnose/evidence"
)

// What was seen on the wire stands in "whyreset.packets", as from>to:flags@seconds(name=value,…).
//
//	d>u:S@0.000(frame=1,seq=1000,win=64240,ttl=64,df,mss=1460,wscale=7,segs=1) u>d:RA@0.001(frame=2,ack=1001,ttl=64,df,segs=1)says(text=go+away)
//
// The ends are d (client), u (server) and p (proxy). "all" in place of the flags is the account of a direction,
// "u:baseline" what was known of an address before. Three things stand in front only where they are not as usual: the
// place, a number, which is that of the events and samples before it, where it differs from the last one (0 at first);
// and the leg, where it is not the one that has these ends.

// packets writes them. It is kept for its buffers.
type packets struct {
	shown    []byte
	place    int
	packet   evidence.Packet // the one being written: a pointer to a local would be allocated
	stream   evidence.Stream
	baseline evidence.Baseline
}

func (p *packets) begin() { p.shown, p.place = p.shown[:0], 0 }

const (
	wordAll      = "all"
	wordBaseline = "baseline"
	wordSays     = "says" // behind a packet's values: what a reset says of itself
)

// tell writes an observation that has so many events and samples before it; ok is false when it cannot be said.
func (p *packets) tell(place int, o *evidence.Observation) (ok bool) {
	switch w := o.What.(type) {
	case evidence.Packet:
		if w.From > evidence.Upstream || w.To > evidence.Upstream {
			return false
		}
		p.packet = w
		p.start(place, o.Leg, usualLeg(w.From, w.To))
		p.shown = append(append(appendEnds(p.shown, w.From, w.To), ':'), w.Flags.String()...)
		p.shown = appendSeconds(append(p.shown, '@'), o.At)
		p.shown = appendValues(p.shown, packetValues[:], &p.packet)
		if w.Reset != nil {
			p.shown = appendValues(append(p.shown, wordSays...), resetValues[:], w.Reset)
		}
	case evidence.Stream:
		if w.From > evidence.Upstream || w.To > evidence.Upstream {
			return false
		}
		p.stream = w
		p.start(place, o.Leg, usualLeg(w.From, w.To))
		p.shown = append(append(appendEnds(p.shown, w.From, w.To), ':'), wordAll...)
		p.shown = appendSeconds(append(p.shown, '@'), o.At)
		p.shown = appendValues(p.shown, streamValues[:], &p.stream)
	case evidence.Baseline:
		if w.Of > evidence.Upstream {
			return false
		}
		p.baseline = w
		p.start(place, o.Leg, evidence.NoLeg)
		p.shown = append(append(p.shown, legLetters[w.Of], ':'), wordBaseline...)
		p.shown = appendSeconds(append(p.shown, '@'), o.At)
		p.shown = appendValues(p.shown, baselineValues[:], &p.baseline)
	}
	return true
}

// start writes what stands in front of the ends.
func (p *packets) start(place int, leg, usual evidence.Leg) {
	if len(p.shown) > 0 {
		p.shown = append(p.shown, ' ')
	}
	if place != p.place {
		p.place = place
		p.shown = append(strconv.AppendInt(p.shown, int64(place), 10), ':')
	}
	if leg != usual {
		p.shown = append(p.shown, legLetters[leg], ':')
	}
}

// usualLeg is the leg that has these ends: none in a capture of the connection itself.
func usualLeg(from, to evidence.Leg) evidence.Leg {
	switch evidence.NoLeg {
	case from:
		return to
	case to:
		return from
	}
	return evidence.NoLeg
}

func appendEnds(dst []byte, from, to evidence.Leg) []byte {
	return append(dst, legLetters[from], '>', legLetters[to])
}

func readEnds(text string) (from, to evidence.Leg, err error) {
	a, b, _ := strings.Cut(text, ">")
	from, okA := readLeg(a)
	to, okB := readLeg(b)
	if !okA || !okB {
		return 0, 0, fmt.Errorf("want ends like d>u")
	}
	return from, to, nil
}

// packetReader reads word after word; it knows the place of the last one.
type packetReader struct{ place int }

func (r *packetReader) read(word string) (o placed, err error) {
	head, rest, ok := strings.Cut(word, "@")
	parts := strings.Split(head, ":")
	bad := fmt.Errorf("want from>to:flags@seconds(name=value,…)")
	if !ok || len(parts) < 2 {
		return o, bad
	}
	what, ends, before := parts[len(parts)-1], parts[len(parts)-2], parts[:len(parts)-2]
	if len(before) > 0 && before[0] != "" && before[0][0] <= '9' {
		if r.place, err = strconv.Atoi(before[0]); err != nil || r.place < 0 {
			return o, bad
		}
		before = before[1:]
	}
	o.place = r.place
	rest, says, said := strings.Cut(rest, wordSays)
	list, err := readWhen(rest, &o)
	if err != nil {
		return o, err
	}
	if said && (what == wordAll || what == wordBaseline) {
		return o, fmt.Errorf("only a packet says something")
	}
	switch what {
	case wordBaseline:
		var b evidence.Baseline
		if b.Of, ok = readLeg(ends); !ok {
			return o, bad
		}
		err = readValues(list, baselineValues[:], &b)
		o.What = b
	case wordAll:
		var s evidence.Stream
		if s.From, s.To, err = readEnds(ends); err != nil {
			return o, err
		}
		o.Leg = usualLeg(s.From, s.To)
		err = readValues(list, streamValues[:], &s)
		o.What = s
	default:
		p := evidence.Packet{Scale: evidence.ScaleUnknown, WindowScale: evidence.NoScale}
		if p.From, p.To, err = readEnds(ends); err != nil {
			return o, err
		}
		if p.Flags, err = readFlags(what); err != nil {
			return o, err
		}
		if said {
			if p.Reset, err = readSays(says); err != nil {
				return o, err
			}
		}
		o.Leg = usualLeg(p.From, p.To)
		err = readValues(list, packetValues[:], &p)
		o.What = p
	}
	if err != nil {
		return o, err
	}
	switch len(before) {
	case 0:
	case 1:
		if o.Leg, ok = readLeg(before[0]); !ok {
			return o, fmt.Errorf("want a leg u, d or p")
		}
	default:
		return o, bad
	}
	return o, nil
}

func readSays(list string) (*evidence.ResetSays, error) {
	var says evidence.ResetSays
	if list == "" {
		return &says, nil
	}
	list, opened := strings.CutPrefix(list, "(")
	list, closed := strings.CutSuffix(list, ")")
	if !opened || !closed {
		return nil, fmt.Errorf("want %s(name=value,…)", wordSays)
	}
	return &says, readValues(list, resetValues[:], &says)
}

// readFlags reads what evidence.TCPFlags.String writes.
func readFlags(text string) (f evidence.TCPFlags, err error) {
	for bit := range 8 {
		one := evidence.TCPFlags(1) << bit
		if rest, ok := strings.CutPrefix(text, one.String()); ok {
			f, text = f|one, rest
		}
	}
	if text == "-" && f == 0 {
		return 0, nil
	}
	if text != "" || f == 0 {
		return 0, fmt.Errorf("want flags of the letters FSRPAUEC in this order, or -")
	}
	return f, nil
}
