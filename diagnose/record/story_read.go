package record

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"whyreset/diagnose/evidence"
)

// readStory reads what tell has written.
func readStory(events, samples, packets string) ([]evidence.Observation, error) {
	all, err := readPart("whyreset.events", events, readEvent)
	if err != nil {
		return nil, err
	}
	sampled, err := readPart("whyreset.samples", samples, readSample)
	if err != nil {
		return nil, err
	}
	if all, err = merge("whyreset.samples", all, sampled); err != nil {
		return nil, err
	}
	var reader packetReader
	shown, err := readPart("whyreset.packets", packets, reader.read)
	if err != nil {
		return nil, err
	}
	if all, err = merge("whyreset.packets", all, shown); err != nil {
		return nil, err
	}
	var told []evidence.Observation
	for i := range all {
		if i > 0 && all[i].At < all[i-1].At {
			return nil, fmt.Errorf("whyreset.events, samples and packets go back in time, from %v to %v", all[i-1].At, all[i].At)
		}
		told = append(told, all[i].Observation)
	}
	return told, nil
}

// placed is an observation and the number of those before it in the parts read so far.
type placed struct {
	place int
	evidence.Observation
}

func readPart(name, text string, read func(string) (placed, error)) (part []placed, err error) {
	for word := range strings.FieldsSeq(text) {
		one, err := read(word)
		if err != nil {
			return nil, fmt.Errorf("%s has %q: %w", name, word, err)
		}
		part = append(part, one)
	}
	return part, nil
}

// merge puts the observations of a part into their places among all.
func merge(name string, all, part []placed) ([]placed, error) {
	if len(part) == 0 {
		return all, nil
	}
	merged := make([]placed, 0, len(all)+len(part))
	for i := 0; i <= len(all); i++ {
		for len(part) > 0 && part[0].place == i {
			merged = append(merged, part[0])
			part = part[1:]
		}
		if i < len(all) {
			merged = append(merged, all[i])
		}
	}
	if len(part) > 0 {
		return nil, fmt.Errorf("%s has something in place %d, want places in order and at most %d, the number of what stands before", name, part[0].place, len(all))
	}
	return merged, nil
}

func readEvent(word string) (o placed, err error) {
	leg, rest, ok := strings.Cut(word, ":")
	at := strings.LastIndexByte(rest, '@')
	if !ok || at < 0 {
		return o, fmt.Errorf("want leg:what@seconds")
	}
	what, when := rest[:at], rest[at+1:]
	when, call, called := strings.Cut(when, "/")
	if o.At, err = readSeconds(when); err != nil {
		return o, err
	}
	if leg == "p" {
		if called {
			return o, fmt.Errorf("the proxy's own doing was seen by no call")
		}
		return o, readAction(&o.Observation, what)
	}
	if leg != wholeConnection {
		if o.Leg, ok = readLeg(leg); !ok {
			return o, fmt.Errorf("want a leg u, d, w or p")
		}
	}
	if kind, list, bracket := strings.Cut(what, "("); bracket {
		if list, ok = strings.CutSuffix(list, ")"); !ok || called {
			return o, fmt.Errorf("want a closing bracket, and no call")
		}
		if kind == wordSent || kind == wordReceived {
			o.What, err = readKernel(kind, list)
		} else {
			o.What, err = readICMP(kind, list)
		}
		return o, err
	}
	if o.Leg == evidence.NoLeg {
		return o, fmt.Errorf("what a socket told is of a leg u or d")
	}
	return o, readSocket(&o.Observation, what, call, called)
}

func readAction(o *evidence.Observation, what string) error {
	for _, leg := range []evidence.Leg{evidence.Downstream, evidence.Upstream} {
		if plain, ok := strings.CutSuffix(what, "_"+string(legLetters[leg])); ok {
			what, o.Leg = plain, leg
			break
		}
	}
	i := slices.Index(actionWords[:], what)
	if i <= 0 {
		return fmt.Errorf("want one of %s", strings.Join(actionWords[1:], ", "))
	}
	o.What = evidence.Action(i)
	return nil
}

func readSocket(o *evidence.Observation, what, call string, called bool) error {
	var s evidence.Socket
	if i := slices.Index(sawWords[:], what); i > 0 {
		s.Saw = evidence.Saw(i)
	} else if e, ok := readErrno(what); ok {
		s.Saw, s.Errno = evidence.Error, e
	} else {
		return fmt.Errorf("want %s, %s or the name of an error", strings.Join(sawWords[1:], ", "), wordReset)
	}
	s.Call = usualCall(o.Leg, s.Saw)
	if called {
		i := slices.Index(callWords[:], call)
		if i < 0 {
			return fmt.Errorf("want a call of %s", strings.Join(callWords[:], ", "))
		}
		s.Call = evidence.Call(i)
	}
	o.What = s
	return nil
}

func readErrno(word string) (evidence.Errno, bool) {
	switch word {
	case wordReset:
		return evidence.ECONNRESET, true
	case wordResetFIN:
		return evidence.EPIPE, true
	}
	if n, ok := strings.CutPrefix(word, "errno_"); ok {
		e, err := strconv.ParseUint(n, 10, 16)
		return evidence.Errno(e), err == nil
	}
	if !strings.HasPrefix(word, "E") {
		return 0, false
	}
	return evidence.ParseErrno(word)
}

func readICMP(kind, list string) (w evidence.ICMP, err error) {
	parts := strings.Split(list, ",")
	bad := fmt.Errorf("want icmp(type/code,from,error,…) or icmp6(…)")
	if kind != "icmp" && kind != "icmp6" || len(parts) < 2 {
		return w, bad
	}
	w.IPv6 = kind == "icmp6"
	typ, code, ok := strings.Cut(parts[0], "/")
	t, errT := strconv.ParseUint(typ, 10, 8)
	c, errC := strconv.ParseUint(code, 10, 8)
	if !ok || errT != nil || errC != nil {
		return w, bad
	}
	w.Type, w.Code = uint8(t), uint8(c)
	if parts[1] != "-" {
		if w.From, err = netip.ParseAddr(parts[1]); err != nil || !plainZone(w.From.Zone()) {
			return w, bad
		}
	}
	parts = parts[2:]
	if len(parts) > 0 {
		if w.Errno, ok = readErrno(parts[0]); ok {
			parts = parts[1:]
		}
	}
	for _, pair := range parts {
		if err = readValue(pair, icmpValues[:], &w); err != nil {
			return w, err
		}
	}
	return w, nil
}

func readKernel(kind, list string) (w evidence.Kernel, err error) {
	w.Sent = kind == wordSent
	ends, rest, _ := strings.Cut(list, ",")
	if w.From, w.To, err = readEnds(ends); err != nil {
		return w, err
	}
	return w, readValues(rest, kernelValues[:], &w)
}

func readSample(word string) (s placed, err error) {
	place, rest, _ := strings.Cut(word, ":")
	leg, rest, _ := strings.Cut(rest, ":")
	kind, rest, ok := strings.Cut(rest, "@")
	if s.place, err = strconv.Atoi(place); err != nil || s.place < 0 || !ok {
		return s, fmt.Errorf("want place:leg:kind@seconds(name=value,…)")
	}
	if s.Leg, ok = readLeg(leg); !ok {
		return s, fmt.Errorf("want a leg u, d or p")
	}
	list, err := readWhen(rest, &s)
	if err != nil {
		return s, err
	}
	switch kind {
	case "moved":
		var t evidence.Transfer
		err = readValues(list, transferValues[:], &t)
		s.What = t
	case "tcp":
		var t evidence.Snapshot
		err = readValues(list, snapshotValues[:], &t)
		s.What = t
	default:
		err = fmt.Errorf("want a kind of moved, tcp")
	}
	return s, err
}

// readWhen reads seconds(list), or seconds alone.
func readWhen(text string, into *placed) (list string, err error) {
	when, list, listed := strings.Cut(text, "(")
	if into.At, err = readSeconds(when); err != nil {
		return "", err
	}
	if listed {
		var ok bool
		if list, ok = strings.CutSuffix(list, ")"); !ok {
			return "", fmt.Errorf("want a closing bracket")
		}
	}
	return list, nil
}

func readLeg(letter string) (evidence.Leg, bool) {
	if len(letter) != 1 {
		return 0, false
	}
	i := strings.IndexByte(legLetters, letter[0])
	return evidence.Leg(max(0, i)), i >= 0
}

// readSeconds reads what appendSeconds writes: seconds with a point and up to nine digits behind it.
func readSeconds(text string) (time.Duration, error) {
	bad := fmt.Errorf("%q is no time in seconds, like 12.001", text)
	digits, negative := strings.CutPrefix(text, "-")
	whole, part, ok := strings.Cut(digits, ".")
	if !ok || len(part) < 3 || len(part) > 9 {
		return 0, bad
	}
	s, err := strconv.ParseUint(whole, 10, 64)
	if err != nil || s > 1<<63/1_000_000_000 {
		return 0, bad
	}
	ns, err := strconv.ParseUint(part+"000000000"[len(part):], 10, 64)
	if err != nil {
		return 0, bad
	}
	n := s*1e9 + ns
	switch {
	case negative && n <= 1<<63:
		return time.Duration(-n), nil
	case n < 1<<63:
		return time.Duration(n), nil
	}
	return 0, bad
}
