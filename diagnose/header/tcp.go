package header

// Flags are the flag bits of a TCP header.
type Flags uint8

const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// String gives the letters of the flags that are set, in the order FSRPAUEC.
func (f Flags) String() string {
	var letters [8]byte
	out := letters[:0]
	for i, letter := range []byte("FSRPAUEC") {
		if f&(1<<i) != 0 {
			out = append(out, letter)
		}
	}
	return string(out)
}

// Has says whether all of the flags g are set.
func (f Flags) Has(g Flags) bool { return f&g == g }

// TCP is a TCP header.
type TCP struct {
	SrcPort, DstPort uint16
	Seq, Ack         uint32 // Ack holds something without the flag ACK, too: forgers forget
	Flags            Flags
	Window           uint16 // as sent, not scaled
	Checksum, Urgent uint16
	HeaderLength     int // bytes
	Known            int // bytes of the fixed header (20) that were there; ports need 4, Seq 8, Ack 12, Flags 14, Window 16
	Options          Options
	PayloadLength    int    // bytes on the wire
	Payload          []byte // those of them that are here
}

// Options are those options of a TCP header that tell stacks and forgers apart.
type Options struct {
	Any           bool // there is room for options, whatever they are
	HasMSS        bool
	HasWScale     bool
	HasTimestamps bool
	SACKPermitted bool
	MPTCP         bool // any option of multipath TCP
	Broken        bool // an option's length makes no sense: those before it stand
	MSS           uint16
	WScale        uint8 // shift; a stack takes more than 14 as 14
	ResetReason   uint8 // of MP_TCPRST (RFC 8684 §3.6); zero when unspecified or without one
	TSVal, TSEcr  uint32
}

// ParseTCP reads the TCP header that b begins with. wire is the length of the segment, header and all, before a capture or a quotation
// cut it; len(b) if nothing did. With Cut, Known says what is there.
func ParseTCP(b []byte, wire int) (TCP, State) {
	wire = max(wire, len(b))
	if wire < 20 {
		return TCP{}, Broken
	}
	t := TCP{Known: min(len(b), 20)}
	if len(b) >= 4 {
		t.SrcPort, t.DstPort = be16(b), be16(b[2:])
	}
	if len(b) >= 8 {
		t.Seq = be32(b[4:])
	}
	if len(b) >= 12 {
		t.Ack = be32(b[8:])
	}
	if len(b) >= 14 {
		t.HeaderLength, t.Flags = int(b[12]>>4)*4, Flags(b[13])
		if t.HeaderLength < 20 || t.HeaderLength > wire {
			return TCP{}, Broken
		}
		t.PayloadLength = wire - t.HeaderLength
		t.Options.Any = t.HeaderLength > 20
	}
	if len(b) >= 16 {
		t.Window = be16(b[14:])
	}
	if len(b) < 20 {
		return t, Cut
	}
	t.Checksum, t.Urgent = be16(b[16:]), be16(b[18:])
	t.Options.parse(b[20:min(len(b), t.HeaderLength)])
	if len(b) < t.HeaderLength {
		t.Options.Broken = false // an option that runs over the end was cut like the rest
		return t, Cut
	}
	t.Payload = b[t.HeaderLength:]
	return t, Whole
}

// Kinds of options (IANA).
const (
	endOfOptions  = 0
	noOperation   = 1
	mss           = 2
	windowScale   = 3
	sackPermitted = 4
	timestamps    = 8
	multipath     = 30
)

// mpTCPRST is the subtype of multipath that a reset may carry; it stands in the upper half of a byte.
const mpTCPRST = 8

func (o *Options) parse(b []byte) {
	for len(b) > 0 && b[0] != endOfOptions {
		if b[0] == noOperation {
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			o.Broken = true
			return
		}
		value := b[2:b[1]]
		switch {
		case b[0] == mss && len(value) == 2:
			o.HasMSS, o.MSS = true, be16(value)
		case b[0] == windowScale && len(value) == 1:
			o.HasWScale, o.WScale = true, value[0]
		case b[0] == sackPermitted && len(value) == 0:
			o.SACKPermitted = true
		case b[0] == timestamps && len(value) == 8:
			o.HasTimestamps, o.TSVal, o.TSEcr = true, be32(value), be32(value[4:])
		case b[0] == multipath && len(value) > 0:
			o.MPTCP = true
			if value[0]>>4 == mpTCPRST && len(value) == 2 {
				o.ResetReason = value[1]
			}
		}
		b = b[b[1]:]
	}
}
