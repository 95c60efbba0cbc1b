package evidence

import "time"

// Packet is the header of one TCP segment.
//
// It stands between two ends: the client (Downstream), the server (Upstream) and, where a proxy is between
// them, us (NoLeg). On a leg of ours one end is NoLeg; in a capture of the connection itself none is, and the
// observation's own Leg is NoLeg, for it concerns both. So a rule about the far end of a leg asks for From ==
// leg, or for To == leg, and need not know from where it was watched.
type Packet struct {
	From, To Leg
	Flags    TCPFlags
	IPv6     bool

	Seq, Ack uint32 // Ack is what stands there, with the ACK flag or without
	Payload  uint32 // bytes on the wire, captured or not
	Window   uint16 // as it stands there; see WindowBytes
	Scale    int8   // the shift for Window; ScaleUnknown without both SYNs

	TTL       uint8 // IPv6: hop limit
	TOS       uint8 // IPv6: traffic class
	DF        bool  // IPv4 only
	ID        uint16
	FlowLabel uint32 // IPv6 only

	HasTimestamp bool
	TSVal, TSEcr uint32 // see HasTimestamp

	// Of a SYN only.
	MSS         uint16
	WindowScale int8 // NoScale: not offered
	SACKAllowed bool

	Segments uint16 // that offloads may have merged into this one: IP IDs step by as many; zero: unknown
	Sampled  bool   // others of its direction, between the one told before and this, are not told
	Repeat   bool   // its bytes had been seen before: a retransmission
	Probe    bool   // asks for an acknowledgement at the end of what was acknowledged: keepalive or zero window
	Copy     bool   // the one told before once more, met at another place of the path
	Cut      bool   // the capture has not all of its header: options are unknown

	Reset *ResetSays // what a RST says of itself; nil: nothing, as nearly all
	Frame uint64     // its number in the capture, from 1; zero: seen live. Frames order packets of equal times
}

func (Packet) source() Source { return Packets }

const (
	ScaleUnknown = int8(-1)
	NoScale      = int8(-1)
)

// WindowBytes is the window that was advertised; ok is false when the scale is unknown.
func (p *Packet) WindowBytes() (n uint32, ok bool) {
	if p.Scale < 0 {
		return 0, false
	}
	return uint32(p.Window) << p.Scale, true
}

// End is the sequence number behind the segment. SYN and FIN take one number each.
func (p *Packet) End() uint32 {
	n := p.Seq + p.Payload
	if p.Flags&SYN != 0 {
		n++
	}
	if p.Flags&FINFlag != 0 {
		n++
	}
	return n
}

// ResetSays is a reason that a RST carries with it.
type ResetSays struct {
	Text       string // its payload, if that can be read
	Diagnostic bool   // its payload has the form of draft-ietf-tcpm-rst-diagnostic-payload
	Code       uint16 // of Diagnostic
	Vendor     uint32 // of Diagnostic: whose list Code is from; zero: the draft's own
	MPTCP      uint8  // reason of the MP_TCPRST option (RFC 8684 §3.6); zero: none
}

// TCPFlags are the flag bits of a TCP header, as they stand there.
type TCPFlags uint8

const (
	FINFlag TCPFlags = 1 << iota // FIN is what a socket tells
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// String is one letter for each flag that is set, in the order FSRPAUEC; "-" for none.
func (f TCPFlags) String() string {
	if f == 0 {
		return "-"
	}
	var letters [8]byte
	n := 0
	for i := range letters {
		if f>>i&1 != 0 {
			letters[n] = "FSRPAUEC"[i]
			n++
		}
	}
	return string(letters[:n])
}

// Stream is the account of every packet of one direction up to its moment, told one by one or not. Copies
// are left out.
type Stream struct {
	From, To         Leg
	Packets          uint64
	Bytes            uint64 // of payload, each counted once
	Repeated         uint64 // of payload that had been seen before
	Missing          uint64 // of payload that was jumped over and did not come later: not captured, or lost
	Resets           uint32
	FirstAt, LastAt  time.Duration // meaningless while Packets is zero
	LastDataAt       time.Duration // the last new payload; meaningless while Bytes is zero
	FIN              bool
	FINAt            time.Duration // see FIN
	Next             uint32        // behind the highest byte sent
	Acked            uint32        // the highest acknowledgement sent
	HasNext, HasAck  bool
	MinTTL, MaxTTL   uint8         // of packets other than RST; zero: none
	HandshakeRTT     time.Duration // from the other end's SYN or SYN-ACK to the answer; zero: not seen
	MinRTT           time.Duration // smallest from the other end's data to its acknowledgement; zero: no sample
	MaxPayload       uint32
	ZeroWindow       bool // the last packet said that nothing more may be sent
	UnansweredProbes uint32
}

func (Stream) source() Source { return Packets }

// Baseline is what other connections have shown of a far end's address: the only way to see that the answer
// to a first SYN was made by somebody else.
type Baseline struct {
	Of  Leg
	TTL uint8         // of its last packet that was no RST
	RTT time.Duration // smallest of its handshakes; zero: none was seen
	Age time.Duration // since the last of these packets
}

func (Baseline) source() Source { return Packets }
