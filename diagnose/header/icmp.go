package header

// ICMPError is an ICMP or ICMPv6 error message. Who sent it stands in the IP header before it.
type ICMPError struct {
	Type, Code uint8
	MTU        uint32 // of "fragmentation needed" and "packet too big"; otherwise zero

	// The packet that it is about, as far as it is quoted: 8 bytes behind the IP header are the least that RFC 792 asks for, so the
	// TCP header is usually Cut. Quoted and QuotedTCP are worth what their states say.
	Quoted         IP
	QuotedState    State
	QuotedTCP      TCP // when Quoted.Protocol is TCP
	QuotedTCPState State
}

// ParseICMPError reads the ICMP (protocol 1) or ICMPv6 (58) message in b. It reports false for messages that are no errors, and for what
// is too short to tell.
func ParseICMPError(b []byte, protocol uint8) (ICMPError, bool) {
	if len(b) < 8 {
		return ICMPError{}, false
	}
	e := ICMPError{Type: b[0], Code: b[1]}
	switch {
	case protocol == ProtocolICMP && e.Type == 3:
		if e.Code == 4 {
			e.MTU = uint32(be16(b[6:]))
		}
	case protocol == ProtocolICMP && (e.Type == 4 || e.Type == 11 || e.Type == 12):
	case protocol == ProtocolICMPv6 && e.Type >= 1 && e.Type < 128: // RFC 4443 §2.1: errors are those below 128
		if e.Type == 2 {
			e.MTU = be32(b[4:])
		}
	default:
		return ICMPError{}, false
	}
	quote := b[8:]
	e.Quoted, e.QuotedState = parseQuote(quote, protocol)
	e.QuotedTCPState = e.QuotedState
	if e.QuotedState == Whole && e.Quoted.Protocol == ProtocolTCP {
		e.QuotedTCP, e.QuotedTCPState = ParseTCP(e.Quoted.Payload, e.Quoted.PayloadLength)
	}
	return e, true
}

// parseQuote reads a quoted packet. It is cut by nature, so its own length field, not that of the quotation, is the packet's length.
func parseQuote(b []byte, protocol uint8) (IP, State) {
	if len(b) == 0 {
		return IP{}, Cut
	}
	if version := b[0] >> 4; version == 4 && protocol != ProtocolICMP || version == 6 && protocol != ProtocolICMPv6 {
		return IP{}, Broken
	}
	return ParseIP(b, 1<<16)
}
