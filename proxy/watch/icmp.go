package watch

import (
	"net/netip"
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/diagnose/header"
)

// icmpNote is an ICMP error about a packet of a flow.
type icmpNote struct {
	at    time.Duration
	about int // who sent the packet that it quotes
	evidence.ICMP
}

// icmp gives an error to the flow whose packet it quotes. It begins none: what it is about was seen before, or is not ours.
func (w *Packets) icmp(ip *header.IP, from *frame, at time.Duration) {
	e, ok := header.ParseICMPError(ip.Payload, ip.Protocol)
	if !ok || e.Quoted.Protocol != header.ProtocolTCP || e.QuotedTCP.Known < 4 {
		return
	}
	n := icmpNote{at: at, ICMP: evidence.ICMP{Type: e.Type, Code: e.Code, IPv6: ip.Version == 6, From: ip.Src.Unmap(),
		OnWire: true, Seq: e.QuotedTCP.Seq, MTU: e.MTU, TTL: ip.TTL}}
	src := netip.AddrPortFrom(e.Quoted.Src, e.QuotedTCP.SrcPort)
	dst := netip.AddrPortFrom(e.Quoted.Dst, e.QuotedTCP.DstPort)
	for by, k := range [2]key{fromFar: keyOf(dst, src), fromUs: keyOf(src, dst)} {
		f := w.table.flows[k]
		if f == nil || len(f.icmp) == keepICMP {
			continue
		}
		// One about a packet of ours comes in, or is this host's own and comes by the loopback device; one about a packet of the
		// far end's goes out, unless that end is on this host.
		if by == fromUs && from.outgoing || by == fromFar && !from.outgoing && !f.loopback {
			continue
		}
		n.about, n.Own = by, by == fromUs && from.loopback
		f.icmp = append(f.icmp, n)
	}
}
