package record

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"whyreset/diagnose/evidence"
)

// A value is one field of an observation: its name in the record, and where it stands in T. The pointer is to an
// unsigned integer, a time.Duration, a leg, a text, a bool or an int8. What is zero is left out; an int8, which is
// the shift of a window, is left out where it is not known (-1).
type value[T any] struct {
	name string
	in   func(*T) any
}

// Names are part of the record: never renamed. A test holds that no field is missing.
var transferValues = [...]value[evidence.Transfer]{
	{"in", func(t *evidence.Transfer) any { return &t.In }},
	{"out", func(t *evidence.Transfer) any { return &t.Out }},
	{"last_in", func(t *evidence.Transfer) any { return &t.LastIn }},
	{"last_out", func(t *evidence.Transfer) any { return &t.LastOut }},
}

var snapshotValues = [...]value[evidence.Snapshot]{
	{"state", func(s *evidence.Snapshot) any { return &s.State }},
	{"retransmits", func(s *evidence.Snapshot) any { return &s.Retransmits }},
	{"probes", func(s *evidence.Snapshot) any { return &s.Probes }},
	{"backoff", func(s *evidence.Snapshot) any { return &s.Backoff }},
	{"rto", func(s *evidence.Snapshot) any { return &s.RTO }},
	{"rtt", func(s *evidence.Snapshot) any { return &s.RTT }},
	{"rttvar", func(s *evidence.Snapshot) any { return &s.RTTVar }},
	{"min_rtt", func(s *evidence.Snapshot) any { return &s.MinRTT }},
	{"last_sent", func(s *evidence.Snapshot) any { return &s.LastDataSent }},
	{"last_recv", func(s *evidence.Snapshot) any { return &s.LastDataRecv }},
	{"last_ack", func(s *evidence.Snapshot) any { return &s.LastAckRecv }},
	{"unacked", func(s *evidence.Snapshot) any { return &s.Unacked }},
	{"lost", func(s *evidence.Snapshot) any { return &s.Lost }},
	{"retrans", func(s *evidence.Snapshot) any { return &s.TotalRetrans }},
	{"mss", func(s *evidence.Snapshot) any { return &s.SndMSS }},
	{"wnd", func(s *evidence.Snapshot) any { return &s.SndWnd }},
	{"notsent", func(s *evidence.Snapshot) any { return &s.NotSent }},
	{"acked", func(s *evidence.Snapshot) any { return &s.BytesAcked }},
	{"received", func(s *evidence.Snapshot) any { return &s.BytesReceived }},
	{"sent", func(s *evidence.Snapshot) any { return &s.BytesSent }},
	{"resent", func(s *evidence.Snapshot) any { return &s.BytesRetrans }},
	{"segs_in", func(s *evidence.Snapshot) any { return &s.SegsIn }},
	{"segs_out", func(s *evidence.Snapshot) any { return &s.SegsOut }},
	{"unread", func(s *evidence.Snapshot) any { return &s.Unread }},
	{"outstanding", func(s *evidence.Snapshot) any { return &s.Outstanding }},
}

var packetValues = [...]value[evidence.Packet]{
	{"frame", func(p *evidence.Packet) any { return &p.Frame }},
	{"seq", func(p *evidence.Packet) any { return &p.Seq }},
	{"ack", func(p *evidence.Packet) any { return &p.Ack }},
	{"len", func(p *evidence.Packet) any { return &p.Payload }},
	{"win", func(p *evidence.Packet) any { return &p.Window }},
	{"scale", func(p *evidence.Packet) any { return &p.Scale }},
	{"ip6", func(p *evidence.Packet) any { return &p.IPv6 }},
	{"ttl", func(p *evidence.Packet) any { return &p.TTL }},
	{"tos", func(p *evidence.Packet) any { return &p.TOS }},
	{"df", func(p *evidence.Packet) any { return &p.DF }},
	{"id", func(p *evidence.Packet) any { return &p.ID }},
	{"flow", func(p *evidence.Packet) any { return &p.FlowLabel }},
	{"ts", func(p *evidence.Packet) any { return &p.HasTimestamp }},
	{"tsval", func(p *evidence.Packet) any { return &p.TSVal }},
	{"tsecr", func(p *evidence.Packet) any { return &p.TSEcr }},
	{"mss", func(p *evidence.Packet) any { return &p.MSS }},
	{"wscale", func(p *evidence.Packet) any { return &p.WindowScale }},
	{"sack", func(p *evidence.Packet) any { return &p.SACKAllowed }},
	{"segs", func(p *evidence.Packet) any { return &p.Segments }},
	{"sampled", func(p *evidence.Packet) any { return &p.Sampled }},
	{"repeat", func(p *evidence.Packet) any { return &p.Repeat }},
	{"probe", func(p *evidence.Packet) any { return &p.Probe }},
	{"copy", func(p *evidence.Packet) any { return &p.Copy }},
	{"cut", func(p *evidence.Packet) any { return &p.Cut }},
}

var resetValues = [...]value[evidence.ResetSays]{
	{"text", func(r *evidence.ResetSays) any { return &r.Text }},
	{"diagnostic", func(r *evidence.ResetSays) any { return &r.Diagnostic }},
	{"code", func(r *evidence.ResetSays) any { return &r.Code }},
	{"vendor", func(r *evidence.ResetSays) any { return &r.Vendor }},
	{"mptcp", func(r *evidence.ResetSays) any { return &r.MPTCP }},
}

var streamValues = [...]value[evidence.Stream]{
	{"packets", func(s *evidence.Stream) any { return &s.Packets }},
	{"bytes", func(s *evidence.Stream) any { return &s.Bytes }},
	{"repeated", func(s *evidence.Stream) any { return &s.Repeated }},
	{"missing", func(s *evidence.Stream) any { return &s.Missing }},
	{"resets", func(s *evidence.Stream) any { return &s.Resets }},
	{"first", func(s *evidence.Stream) any { return &s.FirstAt }},
	{"last", func(s *evidence.Stream) any { return &s.LastAt }},
	{"last_data", func(s *evidence.Stream) any { return &s.LastDataAt }},
	{"fin", func(s *evidence.Stream) any { return &s.FIN }},
	{"fin_at", func(s *evidence.Stream) any { return &s.FINAt }},
	{"has_next", func(s *evidence.Stream) any { return &s.HasNext }},
	{"next", func(s *evidence.Stream) any { return &s.Next }},
	{"has_ack", func(s *evidence.Stream) any { return &s.HasAck }},
	{"acked", func(s *evidence.Stream) any { return &s.Acked }},
	{"min_ttl", func(s *evidence.Stream) any { return &s.MinTTL }},
	{"max_ttl", func(s *evidence.Stream) any { return &s.MaxTTL }},
	{"handshake_rtt", func(s *evidence.Stream) any { return &s.HandshakeRTT }},
	{"min_rtt", func(s *evidence.Stream) any { return &s.MinRTT }},
	{"max_len", func(s *evidence.Stream) any { return &s.MaxPayload }},
	{"zero_window", func(s *evidence.Stream) any { return &s.ZeroWindow }},
	{"unanswered_probes", func(s *evidence.Stream) any { return &s.UnansweredProbes }},
}

var baselineValues = [...]value[evidence.Baseline]{
	{"ttl", func(b *evidence.Baseline) any { return &b.TTL }},
	{"rtt", func(b *evidence.Baseline) any { return &b.RTT }},
	{"age", func(b *evidence.Baseline) any { return &b.Age }},
}

// What most ICMP errors that a socket tells of do not have.
var icmpValues = [...]value[evidence.ICMP]{
	{"own", func(i *evidence.ICMP) any { return &i.Own }},
	{"wire", func(i *evidence.ICMP) any { return &i.OnWire }},
	{"frame", func(i *evidence.ICMP) any { return &i.Frame }},
	{"about", func(i *evidence.ICMP) any { return &i.About }},
	{"seq", func(i *evidence.ICMP) any { return &i.Seq }},
	{"mtu", func(i *evidence.ICMP) any { return &i.MTU }},
	{"ttl", func(i *evidence.ICMP) any { return &i.TTL }},
}

var kernelValues = [...]value[evidence.Kernel]{
	{"reason", func(k *evidence.Kernel) any { return &k.Reason }},
	{"state", func(k *evidence.Kernel) any { return &k.State }},
	{"process", func(k *evidence.Kernel) any { return &k.Process }},
	{"pid", func(k *evidence.Kernel) any { return &k.PID }},
	{"foreign", func(k *evidence.Kernel) any { return &k.Foreign }},
	{"listener", func(k *evidence.Kernel) any { return &k.Listener }},
}

// appendValues writes (name=value,…) without what is zero, and nothing at all when everything is.
func appendValues[T any](dst []byte, values []value[T], of *T) []byte {
	start := len(dst)
	dst = appendList(dst, values, of)
	if len(dst) > start {
		dst[start] = '('
		dst = append(dst, ')')
	}
	return dst
}

// appendList writes a comma and name=value for each that is not zero; a bool that is true is its name alone.
func appendList[T any](dst []byte, values []value[T], of *T) []byte {
	for i := range values {
		v := &values[i]
		var n uint64
		switch p := v.in(of).(type) {
		case *time.Duration:
			if *p != 0 {
				dst = appendSeconds(appendName(dst, v.name), *p)
			}
			continue
		case *uint8:
			n = uint64(*p)
		case *uint16:
			n = uint64(*p)
		case *uint32:
			n = uint64(*p)
		case *uint64:
			n = *p
		case *bool:
			if *p {
				dst = append(append(dst, ','), v.name...)
			}
			continue
		case *int8:
			if *p != -1 {
				dst = strconv.AppendInt(appendName(dst, v.name), int64(*p), 10)
			}
			continue
		case *evidence.Leg:
			if *p != evidence.NoLeg {
				dst = append(appendName(dst, v.name), legLetters[*p])
			}
			continue
		case *string:
			if *p != "" {
				dst = append(appendName(dst, v.name), url.QueryEscape(*p)...)
			}
			continue
		}
		if n != 0 {
			dst = strconv.AppendUint(appendName(dst, v.name), n, 10)
		}
	}
	return dst
}

func appendName(dst []byte, name string) []byte {
	return append(append(append(dst, ','), name...), '=')
}

// readValues reads what appendValues has written between the brackets.
func readValues[T any](list string, values []value[T], into *T) error {
	if list == "" {
		return nil
	}
	for pair := range strings.SplitSeq(list, ",") {
		if err := readValue(pair, values, into); err != nil {
			return err
		}
	}
	return nil
}

func readValue[T any](pair string, values []value[T], into *T) error {
	name, text, given := strings.Cut(pair, "=")
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
	case *uint16:
		err = readUint(text, p, 16)
	case *uint32:
		err = readUint(text, p, 32)
	case *uint64:
		err = readUint(text, p, 64)
	case *bool:
		if *p = true; given {
			err = fmt.Errorf("it is there or not, and has no value")
		}
	case *int8:
		var n int64
		n, err = strconv.ParseInt(text, 10, 8)
		*p = int8(n)
	case *evidence.Leg:
		var ok bool
		if *p, ok = readLeg(text); !ok {
			err = fmt.Errorf("want a leg u, d or p")
		}
	case *string:
		*p, err = url.QueryUnescape(text)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func readUint[T uint8 | uint16 | uint32 | uint64](text string, into *T, bits int) error {
	n, err := strconv.ParseUint(text, 10, bits)
	*into = T(n)
	return err
}
