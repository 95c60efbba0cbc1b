package replay

import (
	"encoding/binary"

	"whyreset/diagnose/header"
)

// LinkType says what a frame begins with (tcpdump.org/linktypes.html).
type LinkType uint16

const (
	linkNull        LinkType = 0 // BSD loopback, address family in the order of the host that captured
	linkEthernet    LinkType = 1
	linkPPP         LinkType = 9
	linkFDDI        LinkType = 10
	linkRawBSD      LinkType = 12
	linkRawOpenBSD  LinkType = 14
	linkPPPHDLC     LinkType = 50
	linkPPPoE       LinkType = 51
	linkRaw         LinkType = 101
	linkCiscoHDLC   LinkType = 104
	linkLoop        LinkType = 108 // OpenBSD loopback, address family in network order
	linkLinuxCooked LinkType = 113
	linkIPv4        LinkType = 228
	linkIPv6        LinkType = 229
	linkCooked2     LinkType = 276
)

// EtherTypes (IANA); GRE uses the same numbers.
const (
	etherIPv4      = 0x0800
	etherIPv6      = 0x86dd
	etherVLAN      = 0x8100
	etherQinQ      = 0x88a8
	etherQinQOld   = 0x9100
	etherQinQOlder = 0x9200
	etherMPLS      = 0x8847
	etherMPLSMulti = 0x8848
	etherPPPoE     = 0x8864
	etherBridged   = 0x6558 // Ethernet within GRE
	etherPPP       = 0x880b // PPTP's GRE
	etherERSPAN    = 0x88be
	etherERSPAN3   = 0x22eb
)

// piece is what is left of a frame after some of its headers.
type piece struct {
	b    []byte
	wire int // bytes on the wire of it
}

// skip drops a header of n bytes; false when that is more than there is.
func (p *piece) skip(n int) bool {
	if len(p.b) < n {
		return false
	}
	p.b, p.wire = p.b[n:], p.wire-n
	return true
}

// trim drops padding behind a length that a header gave.
func (p *piece) trim(n int) {
	p.wire = min(p.wire, n)
	p.b = p.b[:min(len(p.b), n)]
}

func (p *piece) u16(at int) (uint16, bool) {
	if len(p.b) < at+2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(p.b[at:]), true
}

// unwrap strips the link layer and every tunnel down to the innermost IP header. found is false when there is no IP in the frame, or not
// enough of the frame to reach it.
func unwrap(link LinkType, b []byte, wire int) (ip header.IP, state header.State, found bool) {
	u := unwrapper{piece: piece{b: b, wire: wire}}
	u.link(link)
	return u.ip, u.state, u.found
}

type unwrapper struct {
	piece
	depth int // headers passed
	ip    header.IP
	state header.State
	found bool
}

// No honest frame holds more headers than this; a forged one should not cost more.
const maxDepth = 32

func (u *unwrapper) link(link LinkType) {
	switch link {
	case linkEthernet:
		u.ethernet()
	case linkNull, linkLoop:
		if len(u.b) >= 4 {
			u.family()
		}
	case linkRaw, linkRawBSD, linkRawOpenBSD, linkIPv4, linkIPv6:
		u.internet()
	case linkPPP, linkPPPHDLC:
		u.ppp()
	case linkPPPoE:
		u.pppoe()
	case linkCiscoHDLC:
		if kind, ok := u.u16(2); ok && u.skip(4) {
			u.ether(kind)
		}
	case linkFDDI:
		if u.skip(13) {
			u.llc()
		}
	case linkLinuxCooked:
		if kind, ok := u.u16(14); ok && u.skip(16) {
			u.cooked(kind)
		}
	case linkCooked2:
		if kind, ok := u.u16(0); ok && u.skip(20) {
			u.cooked(kind)
		}
	}
}

// family reads a loopback header. Address families differ by system; the byte order does not matter, as all are small.
func (u *unwrapper) family() {
	family := max(binary.LittleEndian.Uint16(u.b), binary.BigEndian.Uint16(u.b[2:]))
	u.skip(4)
	switch family {
	case 2, 10, 23, 24, 28, 30: // AF_INET; AF_INET6 of Linux, Windows, NetBSD and OpenBSD, FreeBSD, macOS
		u.internet()
	}
}

func (u *unwrapper) ethernet() {
	if kind, ok := u.u16(12); ok && u.skip(14) {
		u.ether(kind)
	}
}

// cooked takes Linux's protocol numbers: EtherTypes, and small ones of its own.
func (u *unwrapper) cooked(kind uint16) {
	switch kind {
	case 1: // ETH_P_802_3
	case 4: // ETH_P_802_2
		u.llc()
	default:
		u.ether(kind)
	}
}

func (u *unwrapper) ether(kind uint16) {
	if u.depth++; u.depth > maxDepth {
		return
	}
	if kind <= 1500 { // IEEE 802.3: a length
		u.trim(int(kind))
		u.llc()
		return
	}
	switch kind {
	case etherIPv4, etherIPv6:
		u.internet()
	case etherVLAN, etherQinQ, etherQinQOld, etherQinQOlder:
		if kind, ok := u.u16(2); ok && u.skip(4) {
			u.ether(kind)
		}
	case etherMPLS, etherMPLSMulti:
		u.mpls()
	case etherPPPoE:
		u.pppoe()
	case etherPPP:
		u.ppp()
	case etherBridged:
		u.ethernet()
	case etherERSPAN3:
		u.erspan3()
	}
}

func (u *unwrapper) llc() {
	if len(u.b) < 3 {
		return
	}
	switch {
	case u.b[0] == 0xaa && u.b[1] == 0xaa && u.b[2] == 3: // SNAP
		if kind, ok := u.u16(6); ok && kind > 1500 && u.skip(8) {
			u.ether(kind)
		}
	case u.b[0] == 6 && u.b[1] == 6 && u.b[2] == 3: // IP, RFC 948
		u.skip(3)
		u.internet()
	}
}
