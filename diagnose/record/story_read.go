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
func readStory(events, samples string) ([]evidence.Observation, error) {
	var all []evidence.Observation
	var sampled []sample
	for word := range strings.FieldsSeq(samples) {
		s, err := readSample(word)
		if err != nil {
			return nil, fmt.Errorf("whyreset.samples has %q: %w", word, err)
		}
		sampled = append(sampled, s)
	}
	place := 0
	takeSamples := func() {
		for len(sampled) > 0 && sampled[0].place == place {
			all = append(all, sampled[0].Observation)
			sampled = sampled[1:]
		}
	}
	for word := range strings.FieldsSeq(events) {
		takeSamples()
		o, err := readEvent(word)
		if err != nil {
			return nil, fmt.Errorf("whyreset.events has %q: %w", word, err)
		}
		all = append(all, o)
		place++
	}
	takeSamples()
	if len(sampled) > 0 {
		return nil, fmt.Errorf("whyreset.samples has a sample in place %d, want places in order and at most %d, the number of events", sampled[0].place, place)
	}
	for i := range all {
		if i > 0 && all[i].At < all[i-1].At {
			return nil, fmt.Errorf("whyreset.events and whyreset.samples go back in time, from %v to %v", all[i-1].At, all[i].At)
		}
	}
	return all, nil
}

func readEvent(word string) (o evidence.Observation, err error) {
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
		return o, readAction(&o, what)
	}
	if o.Leg, ok = readLeg(leg); !ok || o.Leg == evidence.NoLeg {
		return o, fmt.Errorf("want a leg u, d or p")
	}
	if strings.HasPrefix(what, "icmp") {
		if called {
			return o, fmt.Errorf("an ICMP error has no call")
		}
		o.What, err = readICMP(what)
		return o, err
	}
	return o, readSocket(&o, what, call, called)
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

func readICMP(what string) (w evidence.ICMP, err error) {
	kind, rest, ok := strings.Cut(what, "(")
	list, closed := strings.CutSuffix(rest, ")")
	parts := strings.Split(list, ",")
	bad := fmt.Errorf("want icmp(type/code,from,error) or icmp6(…)")
	if !ok || !closed || kind != "icmp" && kind != "icmp6" || len(parts) < 2 || len(parts) > 3 {
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
	if len(parts) == 3 {
		if w.Errno, ok = readErrno(parts[2]); !ok {
			return w, bad
		}
	}
	return w, nil
}

type sample struct {
	place int
	evidence.Observation
}

func readSample(word string) (s sample, err error) {
	place, rest, _ := strings.Cut(word, ":")
	leg, rest, _ := strings.Cut(rest, ":")
	kind, rest, ok := strings.Cut(rest, "@")
	if s.place, err = strconv.Atoi(place); err != nil || s.place < 0 || !ok {
		return s, fmt.Errorf("want place:leg:kind@seconds(name=value,…)")
	}
	if s.Leg, ok = readLeg(leg); !ok {
		return s, fmt.Errorf("want a leg u, d or p")
	}
	when, list, listed := strings.Cut(rest, "(")
	if s.At, err = readSeconds(when); err != nil {
		return s, err
	}
	if listed {
		if list, ok = strings.CutSuffix(list, ")"); !ok {
			return s, fmt.Errorf("want a closing bracket")
		}
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

func readValues[T any](list string, values []value[T], into *T) error {
	if list == "" {
		return nil
	}
	for pair := range strings.SplitSeq(list, ",") {
		name, text, _ := strings.Cut(pair, "=")
		i := slices.IndexFunc(values, func(v value[T]) bool { return v.name == name })
		if i < 0 {
			return fmt.Errorf("no value is called %q", name)
		}
		var err error
		switch p := values[i].in(into).(type) {
		case *time.Duration:
			*p, err = readSeconds(text)
		case *uint8:
			err = readUint(text, p, 8)
		case *uint32:
			err = readUint(text, p, 32)
		case *uint64:
			err = readUint(text, p, 64)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func readUint[T uint8 | uint32 | uint64](text string, into *T, bits int) error {
	n, err := strconv.ParseUint(text, 10, bits)
	*into = T(n)
	return err
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
