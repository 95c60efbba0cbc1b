package record

import (
	"strconv"
	"time"

	"whyreset/diagnose/evidence"
)

// A value is one counter of a sample: its name in the record, and where it stands in T. The pointer is to
// an unsigned integer or a time.Duration.
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

// appendValues writes (name=value,…) without what is zero, and nothing at all when everything is.
func appendValues[T any](dst []byte, values []value[T], of *T) []byte {
	before := byte('(')
	for i := range values {
		v := &values[i]
		var n uint64
		switch p := v.in(of).(type) {
		case *time.Duration:
			if *p != 0 {
				dst = append(append(append(dst, before), v.name...), '=')
				dst = appendSeconds(dst, *p)
				before = ','
			}
			continue
		case *uint8:
			n = uint64(*p)
		case *uint32:
			n = uint64(*p)
		case *uint64:
			n = *p
		}
		if n != 0 {
			dst = append(append(append(dst, before), v.name...), '=')
			dst = strconv.AppendUint(dst, n, 10)
			before = ','
		}
	}
	if before == ',' {
		dst = append(dst, ')')
	}
	return dst
}
