package header

// Diagnostic is the payload of a reset that gives its reason as draft-ietf-tcpm-rst-diagnostic-payload says: eight bytes, of which the
// first two are 0x33aa.
type Diagnostic struct {
	Code   uint16
	Vendor uint32 // the private enterprise number whose list Code is from; zero: the draft's own
}

const diagnosticMagic = 0x33aa

// ParseDiagnostic reads the payload of a reset; ok is false when it is something else.
func ParseDiagnostic(payload []byte) (d Diagnostic, ok bool) {
	if len(payload) != 8 || be16(payload) != diagnosticMagic {
		return Diagnostic{}, false
	}
	return Diagnostic{Code: be16(payload[2:]), Vendor: be32(payload[4:])}, true
}

// Readable is the payload of a reset if it is text, as RFC 9293 §3.5.3 and RFC 1122 §4.2.2.12 have it, without a zero at its end;
// nil if it is not.
func Readable(payload []byte) []byte {
	if n := len(payload); n > 0 && payload[n-1] == 0 {
		payload = payload[:n-1]
	}
	for _, c := range payload {
		if (c < ' ' || c > '~') && c != '\t' && c != '\r' && c != '\n' {
			return nil
		}
	}
	return payload
}
