package header

import "net/netip"

// IP is an IPv4 header, or an IPv6 header with its extension headers.
type IP struct {
	Version        uint8 // 4 or 6
	Src, Dst       netip.Addr
	Protocol       uint8  // of Payload: what follows the extension headers
	TTL            uint8  // hop limit in IPv6
	TOS            uint8  // traffic class in IPv6
	ID             uint32 // 16 bits in IPv4; in IPv6 only a fragment header has one
	FlowLabel      uint32 // IPv6 only
	DF, MF         bool   // don't fragment (IPv4 only); more fragments follow
	FragmentOffset int    // bytes
	Options        bool   // IPv4 options, or IPv6 extension headers other than a fragment header
	HeaderLength   int    // bytes, with options and extension headers
	PayloadLength  int    // bytes on the wire behind the headers
	Payload        []byte // those of them that are here; never link-layer padding
}

// ParseIP reads the packet that b begins with. wire is its length before the capture cut it, len(b) if nothing did: it stands in for a
// length of zero, which segmentation offload (IPv4) and jumbograms (IPv6) leave in the header. Whole speaks of the headers only:
// the payload is cut if it is shorter than PayloadLength.
func ParseIP(b []byte, wire int) (IP, State) {
	wire = max(wire, len(b))
	if len(b) == 0 {
		return IP{}, Cut
	}
	switch b[0] >> 4 {
	case 4:
		return parseIPv4(b, wire)
	case 6:
		return parseIPv6(b, wire)
	}
	return IP{}, Broken
}

func parseIPv4(b []byte, wire int) (IP, State) {
	ip := IP{Version: 4, HeaderLength: int(b[0]&15) * 4}
	if ip.HeaderLength < 20 || wire < ip.HeaderLength {
		return IP{}, Broken
	}
	if len(b) < 20 {
		return ip, Cut
	}
	total := int(be16(b[2:]))
	if total == 0 {
		total = wire
	}
	if total < ip.HeaderLength {
		return IP{}, Broken
	}
	ip.TOS, ip.ID = b[1], uint32(be16(b[4:]))
	fragment := be16(b[6:])
	ip.DF, ip.MF, ip.FragmentOffset = fragment&0x4000 != 0, fragment&0x2000 != 0, int(fragment&0x1fff)*8
	ip.TTL, ip.Protocol = b[8], b[9]
	ip.Src, ip.Dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	ip.Options = ip.HeaderLength > 20
	ip.PayloadLength = total - ip.HeaderLength
	if len(b) < ip.HeaderLength {
		return ip, Cut
	}
	ip.Payload = upTo(b[ip.HeaderLength:], ip.PayloadLength)
	if ip.FragmentOffset > 0 {
		return ip, Fragment
	}
	return ip, Whole
}

// IPv6 extension headers (RFC 8200 §4, RFC 4302, RFC 6275, RFC 7401, RFC 5533). ESP is not among them: what it holds is not to be read.
const (
	hopByHop       = 0
	routing        = 43
	fragmentHeader = 44
	authentication = 51
	noNextHeader   = 59
	destination    = 60
	mobility       = 135
	hostIdentity   = 139
	shim6          = 140
)

func parseIPv6(b []byte, wire int) (IP, State) {
	ip := IP{Version: 6, HeaderLength: 40}
	if wire < 40 {
		return IP{}, Broken
	}
	if len(b) < 40 {
		return ip, Cut
	}
	ip.TOS = b[0]<<4 | b[1]>>4
	ip.FlowLabel = be32(b) & 0xfffff
	ip.PayloadLength = int(be16(b[4:]))
	ip.Protocol, ip.TTL = b[6], b[7]
	ip.Src, ip.Dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	if ip.PayloadLength == 0 && ip.Protocol != noNextHeader {
		ip.PayloadLength = wire - 40
	}
	ip.Payload = upTo(b[40:], ip.PayloadLength)
	for {
		var length int
		p := ip.Payload
		switch ip.Protocol {
		case hopByHop, routing, destination, mobility, hostIdentity, shim6, authentication, fragmentHeader:
		default:
			return ip, Whole
		}
		if ip.PayloadLength < 8 {
			return IP{}, Broken
		}
		if len(p) < 8 {
			return ip, Cut
		}
		switch ip.Protocol {
		case fragmentHeader:
			length = 8
			ip.ID = be32(p[4:])
			ip.MF, ip.FragmentOffset = p[3]&1 != 0, int(be16(p[2:])&^7)
		case authentication:
			length = (int(p[1]) + 2) * 4
			ip.Options = true
		default:
			length = (int(p[1]) + 1) * 8
			ip.Options = true
		}
		if length > ip.PayloadLength {
			return IP{}, Broken
		}
		if length > len(p) {
			return ip, Cut
		}
		ip.Protocol = p[0]
		ip.HeaderLength += length
		ip.PayloadLength -= length
		ip.Payload = p[length:]
		if ip.FragmentOffset > 0 {
			return ip, Fragment
		}
	}
}

func upTo(b []byte, n int) []byte {
	return b[:min(len(b), n)]
}
