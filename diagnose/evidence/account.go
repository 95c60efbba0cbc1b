package evidence

import "time"

// Account makes the Streams of both directions of a connection out of its packets, as they come. Directions are numbered 0 and 1.
// Its zero value is ready; it holds no pointers.
type Account struct {
	Streams [2]Stream // From and To are for the caller
	ends    [2]end
}

// end is what only the keeping of an account needs to know of who sends in one direction.
type end struct {
	opening  uint16 // segment size that it announced; zero: none
	scale    int8   // the shift that it announced in a SYN or SYN-ACK; NoScale: none
	opened   bool   // a SYN or SYN-ACK of it was seen
	asking   asking
	asked    time.Duration
	askedEnd uint32 // what acknowledges the segment that the time runs for
}

// asking says what the other end's next answer measures.
type asking uint8

const (
	notAsking asking = iota
	askedHandshake
	askedData
)

// Add enters a packet of direction by that is no copy, and says of it what its stream tells: Repeat and Probe.
func (a *Account) Add(by int, at time.Duration, p *Packet) {
	s, o := &a.Streams[by], &a.Streams[1-by]
	if s.Packets == 0 {
		s.FirstAt = at
	}
	s.Packets++
	s.LastAt = at
	o.UnansweredProbes = 0
	a.answer(by, at, p)
	if p.Flags&RST != 0 {
		s.Resets++
		return
	}
	if s.MinTTL == 0 || p.TTL < s.MinTTL {
		s.MinTTL = p.TTL
	}
	s.MaxTTL = max(s.MaxTTL, p.TTL)
	s.MaxPayload = max(s.MaxPayload, p.Payload)
	s.ZeroWindow = p.Window == 0 && p.Flags&SYN == 0
	if p.Flags&SYN != 0 {
		e := &a.ends[by]
		e.opened, e.scale, e.opening = true, p.WindowScale, p.MSS
	}
	p.Probe = isProbe(p, s, o)
	if p.Probe {
		s.UnansweredProbes++
	} else {
		s.take(at, p)
	}
	if p.Flags&FINFlag != 0 && !s.FIN {
		s.FIN, s.FINAt = true, at
	}
	// A SYN-ACK begins the count: what was acknowledged before it was another connection's (RFC 5961 §4.2).
	if p.Flags&ACK != 0 && (!s.HasAck || p.Flags&SYN != 0 || int32(p.Ack-s.Acked) > 0) {
		s.Acked, s.HasAck = p.Ack, true
	}
}

// isProbe knows keepalive and zero-window probes: no byte, or one that was acknowledged, just before what the other end waits for.
func isProbe(p *Packet, s, o *Stream) bool {
	if !s.HasNext || p.Payload > 1 || p.Flags&(SYN|FINFlag) != 0 {
		return false
	}
	end := s.Next
	if o.HasAck {
		end = o.Acked
	}
	return p.Seq == end-1 && (p.Payload == 0 || end == s.Next)
}

// maxWindow is what may be on its way at most (RFC 7323 §2.3): what lies further away belongs to another connection, or is forged.
const maxWindow = 1 << 30

// take enters the bytes of a segment. Which ones are missing is not kept, only how many: what comes below the highest byte is taken to
// fill a hole as long as there is one.
func (s *Stream) take(at time.Duration, p *Packet) {
	end := p.End()
	length := end - p.Seq
	if !s.HasNext || p.Flags&SYN != 0 && s.Bytes == 0 && end != s.Next { // what came before a SYN was another connection's
		s.Next, s.HasNext, s.Missing = p.Seq, true, 0
	}
	fresh := length
	ahead := int32(p.Seq - s.Next)
	switch {
	case ahead > maxWindow || ahead < -maxWindow:
		return
	case ahead > 0:
		s.Missing += uint64(ahead)
	case ahead < 0:
		old := min(length, uint32(-ahead))
		filled := uint32(min(uint64(old), s.Missing))
		s.Missing -= uint64(filled)
		fresh -= old - filled
		p.Repeat = length > 0 && fresh == 0
	}
	fresh = min(fresh, p.Payload) // SYN and FIN are no bytes
	s.Bytes += uint64(fresh)
	s.Repeated += uint64(p.Payload - fresh)
	if fresh > 0 {
		s.LastDataAt = at
	}
	if int32(end-s.Next) > 0 {
		s.Next = end
	}
}

// answer ends the clock that runs for the other end's last question, if this packet answers it, and starts one for what it asks
// itself. A question that was asked twice measures nothing (Karn).
func (a *Account) answer(by int, at time.Duration, p *Packet) {
	s, mine, other := &a.Streams[by], &a.ends[by], &a.ends[1-by]
	if other.asking != notAsking && p.Flags&ACK != 0 && p.Flags&RST == 0 && int32(p.Ack-other.askedEnd) >= 0 {
		rtt := at - other.asked
		if other.asking == askedHandshake {
			s.HandshakeRTT = rtt
		} else if s.MinRTT == 0 || rtt < s.MinRTT {
			s.MinRTT = rtt
		}
		other.asking = notAsking
	}
	end := p.End()
	switch {
	case end == p.Seq || p.Flags&RST != 0:
	case s.HasNext && int32(end-s.Next) <= 0:
		if mine.asking != notAsking && int32(end-mine.askedEnd) >= 0 {
			mine.asking = notAsking
		}
	case mine.asking == notAsking:
		mine.asking, mine.asked, mine.askedEnd = askedData, at, end
		if p.Flags&SYN != 0 {
			mine.asking = askedHandshake
		}
	}
}

// Told is the stream of direction by as it is to be told: what the other end acknowledged was sent, seen or not. streams are those of
// the account, now or at some moment before.
func Told(streams *[2]Stream, by int) Stream {
	s := streams[by]
	if o := &streams[1-by]; s.HasNext && o.HasAck {
		if unseen := int32(o.Acked - s.Next); unseen > 0 && unseen <= maxWindow {
			s.Missing += uint64(unseen)
		}
	}
	return s
}

// Settle puts into a packet of direction by what the handshake settled for all: Scale and Segments.
func (a *Account) Settle(by int, p *Packet) {
	mine, other := &a.ends[by], &a.ends[1-by]
	switch {
	case p.Flags&SYN != 0:
		p.Scale = 0 // RFC 7323 §2.2: never scaled
	case !mine.opened || !other.opened:
		p.Scale = ScaleUnknown
	case mine.scale >= 0 && other.scale >= 0:
		p.Scale = mine.scale
	default:
		p.Scale = 0 // both must offer it
	}
	p.Segments = segments(p, other.opening)
}

// ordinaryMSS is what fits in an Ethernet frame: more must have been merged, or belongs to a network of larger frames.
const ordinaryMSS = 1460

func segments(p *Packet, opening uint16) uint16 {
	if p.Payload == 0 {
		return 1
	}
	size := uint32(opening)
	if p.HasTimestamp && size > 12 {
		size -= 12 // the option, padded, takes from the room for data (RFC 6691)
	}
	switch {
	case size > 0:
		return uint16(min((p.Payload+size-1)/size, 1<<16-1))
	case p.Payload <= ordinaryMSS:
		return 1
	}
	return 0
}
