package replay

import "whyreset/diagnose/evidence"

// account enters a packet that is no copy into its half's stream, and says of it what the stream tells.
func (n *notes) account(by int8, one *note, w, other *watch) {
	s, o := &n.streams[by], &n.streams[1-by]
	if s.Packets == 0 {
		s.FirstAt = one.at
	}
	s.Packets++
	s.LastAt = one.at
	o.UnansweredProbes = 0
	n.answer(by, one, w, other)
	if one.Flags&evidence.RST != 0 {
		s.Resets++
		return
	}
	if s.MinTTL == 0 || one.TTL < s.MinTTL {
		s.MinTTL = one.TTL
	}
	s.MaxTTL = max(s.MaxTTL, one.TTL)
	s.MaxPayload = max(s.MaxPayload, one.Payload)
	s.ZeroWindow = one.Window == 0 && one.Flags&evidence.SYN == 0
	if one.Flags&evidence.SYN != 0 {
		w.opened, w.scale, w.opening = true, one.WindowScale, one.MSS
	}
	one.Probe = isProbe(one, s, o)
	if one.Probe {
		s.UnansweredProbes++
	} else {
		take(s, one)
	}
	if one.Flags&evidence.FINFlag != 0 && !s.FIN {
		s.FIN, s.FINAt = true, one.at
	}
	if one.Flags&evidence.ACK != 0 && (!s.HasAck || int32(one.Ack-s.Acked) > 0) {
		s.Acked, s.HasAck = one.Ack, true
	}
}

// isProbe knows keepalive and zero-window probes: no byte, or one that was acknowledged, just before what the other end waits for.
func isProbe(one *note, s, o *evidence.Stream) bool {
	if !s.HasNext || one.Payload > 1 || one.Flags&(evidence.SYN|evidence.FINFlag) != 0 {
		return false
	}
	end := s.Next
	if o.HasAck {
		end = o.Acked
	}
	return one.Seq == end-1 && (one.Payload == 0 || end == s.Next)
}

// take enters the bytes of a segment. Which ones are missing is not kept, only how many: what comes below the highest byte is taken to
// fill a hole as long as there is one.
func take(s *evidence.Stream, one *note) {
	const maxWindow = 1 << 30 // RFC 7323 §2.3
	end := one.End()
	length := end - one.Seq
	if !s.HasNext {
		s.Next, s.HasNext = one.Seq, true
	}
	fresh := length
	ahead := int32(one.Seq - s.Next)
	switch {
	case ahead > maxWindow || ahead < -maxWindow: // of another connection, or forged
		return
	case ahead > 0:
		s.Missing += uint64(ahead)
	case ahead < 0:
		old := min(length, uint32(-ahead))
		filled := uint32(min(uint64(old), s.Missing))
		s.Missing -= uint64(filled)
		fresh -= old - filled
		one.Repeat = length > 0 && fresh == 0
	}
	fresh = min(fresh, one.Payload) // SYN and FIN are no bytes
	s.Bytes += uint64(fresh)
	s.Repeated += uint64(one.Payload - fresh)
	if fresh > 0 {
		s.LastDataAt = one.at
	}
	if int32(end-s.Next) > 0 {
		s.Next = end
	}
}

// answer ends the clock that runs for the other half's last question, if this packet answers it, and starts one for what it asks
// itself. A question that was asked twice measures nothing (Karn).
func (n *notes) answer(by int8, one *note, w, other *watch) {
	s := &n.streams[by]
	if other.asking != notAsking && one.Flags&evidence.ACK != 0 && one.Flags&evidence.RST == 0 && int32(one.Ack-other.askedEnd) >= 0 {
		rtt := one.at - other.asked
		if other.asking == askedHandshake {
			s.HandshakeRTT = rtt
		} else if s.MinRTT == 0 || rtt < s.MinRTT {
			s.MinRTT = rtt
		}
		other.asking = notAsking
	}
	end := one.End()
	switch {
	case end == one.Seq || one.Flags&evidence.RST != 0:
	case s.HasNext && int32(end-s.Next) <= 0:
		if w.asking != notAsking && int32(end-w.askedEnd) >= 0 {
			w.asking = notAsking
		}
	case w.asking == notAsking:
		w.asking, w.asked, w.askedEnd = askedData, one.at, end
		if one.Flags&evidence.SYN != 0 {
			w.asking = askedHandshake
		}
	}
}
