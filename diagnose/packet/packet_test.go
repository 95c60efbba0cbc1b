package packet

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"whyreset/diagnose/evidence"
	"whyreset/diagnose/header"
)

func TestEvidence(t *testing.T) {
	ip4 := header.IP{Version: 4, Src: netip.MustParseAddr("192.0.2.1"), TTL: 61, TOS: 8, ID: 7, DF: true}
	ip6 := header.IP{Version: 6, Src: netip.MustParseAddr("2001:db8::1"), TTL: 60, ID: 1 << 20, FlowLabel: 0x12345}
	for name, c := range map[string]struct {
		ip   header.IP
		tcp  header.TCP
		want evidence.Packet
	}{
		"SYN with more scale than there is": {ip4,
			header.TCP{Seq: 1, Flags: header.SYN, Window: 3, Payload: []byte{},
				Options: header.Options{HasMSS: true, MSS: 1460, SACKPermitted: true, HasWScale: true, WScale: 15, HasTimestamps: true, TSVal: 4}},
			evidence.Packet{Flags: evidence.SYN, Seq: 1, Window: 3, Scale: evidence.ScaleUnknown, TTL: 61, TOS: 8, ID: 7, DF: true,
				MSS: 1460, SACKAllowed: true, WindowScale: 14, HasTimestamp: true, TSVal: 4}},
		"the MSS of data is no option of its own": {ip6,
			header.TCP{Seq: 2, Ack: 3, Flags: header.ACK | header.PSH, PayloadLength: 100, Payload: []byte{1}, Options: header.Options{MSS: 9, HasMSS: true}},
			evidence.Packet{Flags: evidence.ACK | evidence.PSH, Seq: 2, Ack: 3, Payload: 100, IPv6: true, Scale: evidence.ScaleUnknown,
				TTL: 60, FlowLabel: 0x12345, WindowScale: evidence.NoScale}},
		"a reset that says why": {ip4,
			header.TCP{Flags: header.RST, PayloadLength: 6, Payload: []byte("denied")},
			evidence.Packet{Flags: evidence.RST, Payload: 6, Scale: evidence.ScaleUnknown, TTL: 61, TOS: 8, ID: 7, DF: true,
				WindowScale: evidence.NoScale, Reset: &evidence.ResetSays{Text: "denied"}}},
		"cut before its options": {ip4,
			header.TCP{Flags: header.RST | header.ACK},
			evidence.Packet{Flags: evidence.RST | evidence.ACK, Scale: evidence.ScaleUnknown, TTL: 61, TOS: 8, ID: 7, DF: true,
				WindowScale: evidence.NoScale, Cut: true}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Evidence(&c.ip, &c.tcp)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
