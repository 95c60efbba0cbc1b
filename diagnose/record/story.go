package record

import (
	"bytes"
	"net/netip"
	"strconv"
	"time"

	"whyreset/diagnose/evidence"
)

// The observations are told in three strings, which together are the evidence and nothing less.
//
// "whyreset.events" is for people, too: what happened, in order, as leg:what@seconds.
//
//	d:connected@0.000 u:connected@0.001 u:fin@12.001 d:data@12.002 u:rst@12.004/recv p:abort_d@12.004
//
// The leg is u (upstream) or d (downstream) for what was seen there, w (whole) for what a capture of the connection
// itself saw, p for what the proxy did, which ends in the leg it was done to. A slash names the call that saw it
// where it is not the usual one.
//
// "whyreset.samples" has the counters, as place:leg:kind@seconds(name=value,…) with zero values left out;
// the place is the number of events before it.
//
//	2:u:moved@12.001(in=120,last_in=0.004) 2:u:tcp@12.001(state=7,rtt=0.000123)
//
// "whyreset.packets" has what was seen on the wire: see packets.go.

// story writes the observations. It is kept for its buffers.
type story struct {
	events, samples []byte
	snap            evidence.Snapshot // the one being written: a pointer to a local would be allocated
	moved           evidence.Transfer
	part            []byte // of a story that is too long
	packets
}

// tell writes all observations; whole is false when one cannot be said in these words, so that the strings
// must not be taken for the evidence.
func (s *story) tell(observations []evidence.Observation) (whole bool) {
	s.events, s.samples = s.events[:0], s.samples[:0]
	s.packets.begin()
	whole = true
	events, samples := 0, 0
	for i := range observations {
		o := &observations[i]
		if o.Leg > evidence.Upstream {
			whole = false
			continue
		}
		if i > 0 && o.At < observations[i-1].At {
			whole = false
		}
		switch w := o.What.(type) {
		case evidence.Transfer:
			s.moved = w
			s.sampleStart(events, o, "moved")
			s.samples = appendValues(s.samples, transferValues[:], &s.moved)
			samples++
		case evidence.Snapshot:
			s.snap = w
			s.sampleStart(events, o, "tcp")
			s.samples = appendValues(s.samples, snapshotValues[:], &s.snap)
			samples++
		case evidence.Packet, evidence.Stream, evidence.Baseline:
			if !s.packets.tell(events+samples, o) {
				whole = false
			}
		default:
			at := len(s.events)
			if at > 0 {
				s.events = append(s.events, ' ')
			}
			var ok bool
			if s.events, ok = appendEvent(s.events, o); !ok {
				s.events, whole = s.events[:at], false
				continue
			}
			events++
		}
	}
	return whole
}

// fits says that no part of the story is longer than n bytes.
func (s *story) fits(n int) bool { return max(len(s.events), len(s.samples), len(s.shown)) <= n }

// shorten keeps the first words and, twice as many, the last ones, in about n bytes. Between them stands how many are left
// out, as …123….
func (s *story) shorten(words []byte, n int) []byte {
	if len(words) <= n {
		return words
	}
	head := max(0, bytes.LastIndexByte(words[:n/3], ' '))
	tail := len(words) - n*2/3
	if next := bytes.IndexByte(words[tail:], ' '); next >= 0 {
		tail += next
	} else {
		tail = len(words)
	}
	s.part = append(append(s.part[:0], words[:head]...), " …"...)
	s.part = strconv.AppendInt(s.part, int64(bytes.Count(words[head:tail], []byte(" "))), 10)
	return append(append(s.part, "…"...), words[tail:]...)
}

func (s *story) sampleStart(events int, o *evidence.Observation, kind string) {
	if len(s.samples) > 0 {
		s.samples = append(s.samples, ' ')
	}
	s.samples = strconv.AppendInt(s.samples, int64(events), 10)
	s.samples = append(s.samples, ':', legLetters[o.Leg], ':')
	s.samples = append(s.samples, kind...)
	s.samples = appendSeconds(append(s.samples, '@'), o.At)
}

const (
	legLetters      = "pdu" // by evidence.Leg
	wholeConnection = "w"   // in place of a leg: seen between the far ends, not on a leg of ours
)

var (
	sawWords  = [...]string{evidence.Connected: "connected", evidence.Data: "data", evidence.FIN: "fin"}
	callWords = [...]string{evidence.NoCall: "none", evidence.Accept: "accept", evidence.Connect: "connect", evidence.Recv: "recv",
		evidence.Send: "send", evidence.Poll: "poll"}
	actionWords = [...]string{evidence.PassedFIN: "fin", evidence.PassedReset: "abort", evidence.Closed: "close",
		evidence.IdleTimeout: "idle_timeout", evidence.ConnectTimeout: "connect_timeout", evidence.FlushTimeout: "flush_timeout",
		evidence.Shutdown: "shutdown", evidence.Refused: "refused", evidence.ResolveFailed: "resolve_failed", evidence.Limit: "limit",
		evidence.NotRedirected: "not_redirected", evidence.Denied: "denied", evidence.Guarded: "guarded", evidence.NotPermitted: "not_permitted",
		evidence.OtherPort: "other_port", evidence.AbortedOld: "aborted_old", evidence.ClientBack: "client_back", evidence.PortTaken: "port_taken", evidence.Looped: "looped"}
)

// Errors with a word of their own; the others go by the kernel's name.
const (
	wordReset    = "rst"           // ECONNRESET
	wordResetFIN = "rst_after_fin" // EPIPE, which tcp_reset gives a socket that had seen a FIN
)

// What the kernel told of a reset.
const (
	wordSent     = "kernel_sent"     // tcp:tcp_send_reset
	wordReceived = "kernel_received" // tcp:tcp_receive_reset
)

// usualCall is the call that sees such a thing as a rule.
func usualCall(leg evidence.Leg, saw evidence.Saw) evidence.Call {
	switch {
	case saw == evidence.Connected && leg == evidence.Upstream:
		return evidence.Connect
	case saw == evidence.Connected:
		return evidence.Accept
	case saw == evidence.Data:
		return evidence.Recv
	}
	return evidence.Poll
}

func appendEvent(dst []byte, o *evidence.Observation) (_ []byte, ok bool) {
	if a, is := o.What.(evidence.Action); is {
		if a == evidence.NoAction || int(a) >= len(actionWords) {
			return dst, false
		}
		dst = append(append(dst, "p:"...), actionWords[a]...)
		if o.Leg != evidence.NoLeg {
			dst = append(dst, '_', legLetters[o.Leg])
		}
		return appendSeconds(append(dst, '@'), o.At), true
	}
	if o.Leg == evidence.NoLeg {
		dst = append(append(dst, wholeConnection...), ':')
	} else {
		dst = append(dst, legLetters[o.Leg], ':')
	}
	switch w := o.What.(type) {
	case evidence.Socket:
		return appendSocket(dst, o, w)
	case evidence.ICMP:
		dst, ok = appendICMP(dst, w)
	case evidence.Kernel:
		dst, ok = appendKernel(dst, w)
	}
	if !ok {
		return dst, false
	}
	return appendSeconds(append(dst, '@'), o.At), true
}

func appendSocket(dst []byte, o *evidence.Observation, w evidence.Socket) (_ []byte, ok bool) {
	switch {
	case o.Leg == evidence.NoLeg || int(w.Call) >= len(callWords):
		return dst, false
	case w.Saw == evidence.Error:
		dst = appendErrno(dst, w.Errno)
	case w.Saw == evidence.NoSaw || int(w.Saw) >= len(sawWords) || w.Errno != 0:
		return dst, false
	default:
		dst = append(dst, sawWords[w.Saw]...)
	}
	dst = appendSeconds(append(dst, '@'), o.At)
	if w.Call != usualCall(o.Leg, w.Saw) {
		dst = append(append(dst, '/'), callWords[w.Call]...)
	}
	return dst, true
}

func appendErrno(dst []byte, e evidence.Errno) []byte {
	switch e {
	case evidence.ECONNRESET:
		return append(dst, wordReset...)
	case evidence.EPIPE:
		return append(dst, wordResetFIN...)
	}
	if name := e.String(); name[0] == 'E' {
		return append(dst, name...)
	}
	return strconv.AppendUint(append(dst, "errno_"...), uint64(e), 10)
}

// appendICMP writes icmp(type/code,from,errno) and what else is known: "-" for a sender that is not known, no errno
// for none.
func appendICMP(dst []byte, w evidence.ICMP) (_ []byte, ok bool) {
	dst = append(dst, "icmp"...)
	if w.IPv6 {
		dst = append(dst, '6')
	}
	dst = strconv.AppendUint(append(dst, '('), uint64(w.Type), 10)
	dst = strconv.AppendUint(append(dst, '/'), uint64(w.Code), 10)
	dst = append(dst, ',')
	if !w.From.IsValid() {
		dst = append(dst, '-')
	} else {
		if back, err := netip.ParseAddr(w.From.String()); err != nil || back != w.From || !plainZone(w.From.Zone()) {
			return dst, false
		}
		dst = w.From.AppendTo(dst)
	}
	if w.Errno != 0 {
		dst = appendErrno(append(dst, ','), w.Errno)
	}
	if w.About > evidence.Upstream {
		return dst, false
	}
	if w.OnWire || w != (evidence.ICMP{Type: w.Type, Code: w.Code, IPv6: w.IPv6, From: w.From, Errno: w.Errno}) {
		dst = appendICMPValues(dst, w)
	}
	return append(dst, ')'), true
}

// appendICMPValues is apart because it lets w escape to the heap.
func appendICMPValues(dst []byte, w evidence.ICMP) []byte { return appendList(dst, icmpValues[:], &w) }

// appendKernel writes kernel_sent(from>to,…) or kernel_received(from>to,…).
func appendKernel(dst []byte, w evidence.Kernel) (_ []byte, ok bool) {
	if w.From > evidence.Upstream || w.To > evidence.Upstream {
		return dst, false
	}
	word := wordReceived
	if w.Sent {
		word = wordSent
	}
	dst = appendEnds(append(append(dst, word...), '('), w.From, w.To)
	return append(appendList(dst, kernelValues[:], &w), ')'), true
}

// plainZone says that the name of an interface has nothing that stands for something else in an event.
func plainZone(zone string) bool {
	for i := range len(zone) {
		switch b := zone[i]; {
		case b <= ' ' || b >= 0x7f || b == ',' || b == '(' || b == ')' || b == '@' || b == '/':
			return false
		}
	}
	return true
}

// appendSeconds writes d in seconds, exactly, with at least milliseconds.
func appendSeconds(dst []byte, d time.Duration) []byte {
	n := uint64(d)
	if d < 0 {
		dst = append(dst, '-')
		n = -n
	}
	dst = appendNanos(append(strconv.AppendUint(dst, n/1e9, 10), '.'), uint32(n%1e9))
	for least := len(dst) - 6; len(dst) > least && dst[len(dst)-1] == '0'; {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// appendNanos writes the nine digits of n.
func appendNanos(dst []byte, n uint32) []byte {
	var digits [9]byte
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = byte('0' + n%10)
		n /= 10
	}
	return append(dst, digits[:]...)
}
