package replay

import (
	"net/netip"
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/diagnose/header"
	"whyreset/diagnose/record"
)

// flow is a connection while it is read. Its halves stand in the order of appearance; who of them is the client is settled at the end,
// as a SYN-ACK may come after a midstream packet.
type flow struct {
	half                  [2]half
	firstFrame, lastFrame int
	first, last           time.Time
	touched               time.Time // the tracker's clock at the last packet: frames may lack a time, or be out of order
	opener, acceptor      int8      // the half that sent the first SYN, the first SYN-ACK; -1: none
	handshake             bool
	cut                   bool
	reset                 *reset
	icmp                  []icmpAbout
	notes                 notes
}

// half is what one end sent.
type half struct {
	addr    netip.AddrPort
	packets int
	bytes   int
	resets  int
	fin     bool
	isn     uint32 // of its first SYN or SYN-ACK
	hasISN  bool
	ackOf   uint32 // what its first SYN-ACK acknowledged
	acked   bool   // it sent an ACK
	end     uint32 // highest end of a segment
	ttl     uint8  // of the last packet other than RST
	others  bool   // it sent something other than RST: end and ttl hold
}

// reset is the first RST.
type reset struct {
	by            int8
	frame         int
	flags         header.Flags
	stage         string
	ttlDelta      *int
	seqDelta      *int32
	since         [2]bool // each half sent something other than RST afterwards
	data          bool    // its sender sent data afterwards
	sinceOpenings bool    // a SYN or SYN-ACK came afterwards
}

type icmpAbout struct {
	half int8
	ICMP
}

// maxICMP errors are kept of a connection: a router tells the same again for every packet.
const maxICMP = 8

func newFlow(p *Packet) *flow {
	f := &flow{firstFrame: p.Frame, first: p.At, opener: -1, acceptor: -1}
	f.half[0].addr, f.half[1].addr = p.src(), p.dst()
	return f
}

// sender is the half that has the address.
func (f *flow) sender(addr netip.AddrPort) int8 {
	if f.half[0].addr == addr {
		return 0
	}
	return 1
}

// startsAnew says whether p is the SYN of another connection between the same ends: one with another initial sequence number, or from
// the end that had opened nothing, unless the other's SYN-ACK answers just this SYN, or both open at once and no more than the other's
// SYN was seen.
func (f *flow) startsAnew(p *Packet) bool {
	if !pureSYN(p.TCP.Flags) {
		return false
	}
	by := f.sender(p.src())
	if h := &f.half[by]; h.hasISN {
		return h.isn != p.TCP.Seq
	}
	other := &f.half[1-by]
	if f.half[by].packets == 0 && other.onlySYN() {
		return false
	}
	return f.acceptor != 1-by || other.ackOf != p.TCP.Seq+1
}

// onlySYN says that the half sent a SYN, once or more, and no more.
func (h *half) onlySYN() bool { return h.hasISN && !h.acked && !h.fin && h.resets == 0 }

func pureSYN(flags header.Flags) bool { return flags&(header.SYN|header.ACK|header.RST) == header.SYN }

func (f *flow) add(p *Packet) {
	by := f.sender(p.src())
	h := &f.half[by]
	flags := p.TCP.Flags
	f.notes.add(by, p, f.first, f.reset == nil && flags.Has(header.RST))
	if flags.Has(header.RST) {
		if f.reset == nil {
			f.reset = f.resetBy(by, p)
		}
		h.resets++
	} else {
		f.ordinary(by, p)
	}
	h.packets++
	f.lastFrame, f.last = p.Frame, p.At
	f.cut = f.cut || p.Cut
}

func (f *flow) ordinary(by int8, p *Packet) {
	h := &f.half[by]
	flags := p.TCP.Flags
	switch {
	case flags.Has(header.SYN | header.ACK):
		if f.acceptor < 0 {
			f.acceptor, h.ackOf = by, p.TCP.Ack
		}
	case flags.Has(header.SYN):
		if f.opener < 0 {
			f.opener = by
		}
	case flags.Has(header.ACK):
		if f.acceptor == 1-by {
			f.handshake = true
		}
	}
	if flags.Has(header.SYN) && !h.hasISN {
		h.isn, h.hasISN = p.TCP.Seq, true
	}
	h.acked = h.acked || flags.Has(header.ACK)
	h.fin = h.fin || flags.Has(header.FIN)
	h.bytes += p.TCP.PayloadLength
	if end := p.end(); !h.others || int32(end-h.end) > 0 {
		h.end = end
	}
	h.ttl, h.others = p.IP.TTL, true
	if r := f.reset; r != nil {
		r.since[by] = true
		r.data = r.data || by == r.by && p.TCP.PayloadLength > 0
		r.sinceOpenings = r.sinceOpenings || flags.Has(header.SYN)
	}
}

func (f *flow) resetBy(by int8, p *Packet) *reset {
	r := &reset{by: by, frame: p.Frame, flags: p.TCP.Flags, stage: f.stage()}
	if h := &f.half[by]; h.others {
		ttl, seq := int(p.IP.TTL)-int(h.ttl), int32(p.TCP.Seq-h.end)
		r.ttlDelta, r.seqDelta = &ttl, &seq
	}
	return r
}

func (f *flow) stage() string {
	fin := f.half[0].fin || f.half[1].fin
	data := f.half[0].bytes+f.half[1].bytes > 0
	if f.opener < 0 && f.acceptor < 0 {
		switch {
		case !f.half[0].others && !f.half[1].others:
			return Orphan
		case fin:
			return MidstreamFIN
		case data:
			return MidstreamData
		}
		return MidstreamNoData
	}
	switch {
	case fin:
		return PostFIN
	case data:
		return PostData
	case f.handshake:
		return PostHandshake
	case f.acceptor >= 0:
		return PostSYNACK
	}
	return PostSYN
}

// keep is how long it should be kept without a packet when there are many.
func (f *flow) keep() time.Duration {
	a, b := &f.half[0], &f.half[1]
	switch {
	case f.reset != nil || a.fin && b.fin:
		return keepOver
	case b.packets == 0 && a.onlySYN():
		return keepUnanswered
	}
	return keepOpen
}

// client is the half that is the client.
func (f *flow) client() int8 {
	if f.opener >= 0 {
		return f.opener
	}
	if f.acceptor >= 0 {
		return 1 - f.acceptor
	}
	if a, b := portClass(f.half[0].addr), portClass(f.half[1].addr); a > b {
		return 0
	} else if a < b {
		return 1
	}
	if f.half[0].packets+f.half[1].packets == 1 && f.reset != nil {
		return 1
	}
	return 0
}

func portClass(a netip.AddrPort) int {
	switch port := a.Port(); {
	case port < 1024:
		return 0
	case port < 32768:
		return 1
	}
	return 2
}

// connection is the flow as it is told.
func (f *flow) connection() *Connection {
	client := f.client()
	server := 1 - client
	side := func(half int8) Side {
		if half == client {
			return Client
		}
		return Server
	}
	c, s := &f.half[client], &f.half[server]
	out := &Connection{
		Client: c.addr, Server: s.addr,
		FirstFrame: f.firstFrame, LastFrame: f.lastFrame, First: f.first, Last: f.last,
		Packets: [2]int{c.packets, s.packets}, Bytes: [2]int{c.bytes, s.bytes}, FIN: [2]bool{c.fin, s.fin},
		Handshake: f.handshake, Cut: f.cut,
		notes: &f.notes, missed: f.opener < 0 && f.acceptor < 0,
	}
	switch {
	case c.hasISN:
		out.ISN, out.HasISN = c.isn, true
	case f.acceptor == server:
		out.ISN, out.HasISN = s.ackOf-1, true
	}
	out.legs[client], out.legs[server] = evidence.Downstream, evidence.Upstream
	for _, e := range f.icmp {
		e.About = side(e.half)
		out.ICMP = append(out.ICMP, e.ICMP)
	}
	if r := f.reset; r != nil {
		out.Reset = &record.Capture{
			Resetter: side(r.by).String(), Frame: r.frame, Flags: r.flags.String(), FromClient: c.resets, FromServer: s.resets, Stage: r.stage,
			TTLDelta: r.ttlDelta, SeqDelta: r.seqDelta, Continued: r.since[0] && r.since[1] && (r.data || r.sinceOpenings),
		}
	}
	return out
}
