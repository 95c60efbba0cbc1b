// Package packet puts the header of a TCP segment into the words of the evidence, whoever read it: a capture file or the wire.
//
//	p := packet.Evidence(&ip, &tcp)
//	p.From, p.To = evidence.Upstream, evidence.NoLeg
//
// It says what stands in the header. What follows from other packets (who sent it, whether it was sent before, what its window
// means) is for evidence.Account and for whoever knows the connection.
package packet

import (
	"whyreset/diagnose/evidence"
	"whyreset/diagnose/header"
)

// Evidence is the header as evidence.
func Evidence(ip *header.IP, t *header.TCP) evidence.Packet {
	o := &t.Options
	p := evidence.Packet{
		Flags: evidence.TCPFlags(t.Flags), IPv6: ip.Version == 6,
		Seq: t.Seq, Ack: t.Ack, Payload: uint32(t.PayloadLength), Window: t.Window, Scale: evidence.ScaleUnknown,
		TTL: ip.TTL, TOS: ip.TOS, DF: ip.DF, FlowLabel: ip.FlowLabel,
		HasTimestamp: o.HasTimestamps, TSVal: o.TSVal, TSEcr: o.TSEcr, WindowScale: evidence.NoScale,
		Cut: t.Payload == nil,
	}
	if !p.IPv6 { // the one of an IPv6 fragment says nothing of the next packet's
		p.ID = uint16(ip.ID)
	}
	if t.Flags.Has(header.SYN) {
		p.MSS, p.SACKAllowed = o.MSS, o.SACKPermitted
		if o.HasWScale {
			p.WindowScale = int8(min(o.WScale, 14)) // RFC 7323 §2.3
		}
	}
	if t.Flags.Has(header.RST) {
		p.Reset = resetSays(t)
	}
	return p
}

// LongestText is the longest text in a reset that is told; what devices write there is shorter.
const LongestText = 256

func resetSays(t *header.TCP) *evidence.ResetSays {
	says := evidence.ResetSays{MPTCP: t.Options.ResetReason}
	if len(t.Payload) == t.PayloadLength {
		var d header.Diagnostic
		d, says.Diagnostic = header.ParseDiagnostic(t.Payload)
		says.Code, says.Vendor = d.Code, d.Vendor
	}
	if text := header.Readable(t.Payload); !says.Diagnostic {
		says.Text = string(text[:min(len(text), LongestText)])
	}
	if says == (evidence.ResetSays{}) {
		return nil
	}
	return &says
}
