package replay

import "whyreset/diagnose/header"

func (u *unwrapper) mpls() {
	for {
		if len(u.b) < 4 {
			return
		}
		bottom := u.b[2]&1 != 0
		u.skip(4)
		if bottom {
			break
		}
	}
	if len(u.b) == 0 {
		return
	}
	switch u.b[0] >> 4 {
	case 4, 6:
		u.internet()
	case 0: // the control word of an Ethernet pseudowire, RFC 4448
		if u.skip(4) {
			u.ethernet()
		}
	}
}

func (u *unwrapper) pppoe() {
	length, ok := u.u16(4)
	if ok && u.b[1] == 0 && u.skip(6) { // code 0 is session data
		u.trim(int(length))
		u.ppp()
	}
}

func (u *unwrapper) ppp() {
	if u.depth++; u.depth > maxDepth {
		return
	}
	if len(u.b) >= 2 && u.b[0] == 0xff && u.b[1] == 3 { // address and control, RFC 1662
		u.skip(2)
	}
	if len(u.b) == 0 {
		return
	}
	protocol, size := uint16(u.b[0]), 1 // an odd first byte is a compressed protocol field
	if protocol&1 == 0 {
		var ok bool
		if protocol, ok = u.u16(0); !ok {
			return
		}
		size = 2
	}
	u.skip(size)
	switch protocol {
	case 0x21, 0x57:
		u.internet()
	case 0x281:
		u.mpls()
	}
}

func (u *unwrapper) internet() {
	if u.depth++; u.depth > maxDepth {
		return
	}
	if len(u.b) == 0 {
		return
	}
	u.ip, u.state = header.ParseIP(u.b, u.wire)
	u.found = true
	if u.state != header.Whole {
		return
	}
	outer := *u
	u.piece = piece{b: u.ip.Payload, wire: u.ip.PayloadLength}
	switch u.ip.Protocol {
	case header.ProtocolIPv4, header.ProtocolIPv6:
		u.internet()
	case header.ProtocolGRE:
		u.found = false
		u.gre()
	default:
		return
	}
	if !u.found { // nothing of ours within: the tunnel itself is the packet
		*u = outer
	}
}

// gre reads RFC 2784 and 2890, and version 1 as in PPTP (RFC 2637).
func (u *unwrapper) gre() {
	if len(u.b) < 4 {
		return
	}
	const checksum, routes, key, sequence, acknowledged = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080
	flags, _ := u.u16(0)
	kind, _ := u.u16(2)
	version := flags & 7
	if version > 1 || flags&routes != 0 {
		return
	}
	size := 4
	if flags&checksum != 0 {
		size += 4
	}
	if flags&key != 0 {
		size += 4
	}
	if flags&sequence != 0 {
		size += 4
	}
	if version == 1 && flags&acknowledged != 0 {
		size += 4
	}
	if !u.skip(size) {
		return
	}
	if kind == etherERSPAN {
		// Type II numbers its frames and has a header of 8 bytes; type I has neither.
		if flags&sequence == 0 || u.skip(8) {
			u.ethernet()
		}
		return
	}
	u.ether(kind)
}

func (u *unwrapper) erspan3() {
	if len(u.b) < 12 {
		return
	}
	size := 12
	if u.b[11]&1 != 0 { // O: a platform-specific header follows
		size += 8
	}
	if u.skip(size) {
		u.ethernet()
	}
}
