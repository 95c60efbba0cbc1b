package header

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	// A SYN of 192.0.2.1:40000 to 198.51.100.2:443 with MSS 1460, SACK permitted, timestamps 7 and 9, window scale 10.
	ipv4SYN = `4500003c abcd4000 40060000 c0000201 c6336402` + tcpSYN
	tcpSYN  = `9c4001bb 01020304 00000000 a002faf0 12340000 020405b4 0402080a 00000007 00000009 0103030a`
	// The same over IPv6, traffic class 0x12, flow label 0x34567.
	ipv6SYN = `61234567 00280640 20010db8000000000000000000000001 20010db8000000000000000000000002` + tcpSYN
)

func TestIPv4(t *testing.T) {
	b := unhex(t, ipv4SYN)
	got, state := ParseIP(b, len(b))
	want := IP{
		Version: 4, Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("198.51.100.2"),
		Protocol: ProtocolTCP, TTL: 64, ID: 0xabcd, DF: true, HeaderLength: 20, PayloadLength: 40, Payload: b[20:],
	}
	check(t, got, want, state, Whole)

	t.Run("padding of the link layer is no payload", func(t *testing.T) {
		got, state := ParseIP(append(b[:len(b):len(b)], 0, 0, 0, 0, 0, 0), len(b)+6)
		check(t, got, want, state, Whole)
	})
	t.Run("a payload cut by the capture keeps its length", func(t *testing.T) {
		got, state := ParseIP(b[:34], len(b))
		want := want
		want.Payload = b[20:34]
		check(t, got, want, state, Whole)
	})
	t.Run("a length of zero is that of the packet on the wire", func(t *testing.T) {
		b := append([]byte(nil), b...)
		b[2], b[3] = 0, 0
		got, state := ParseIP(b, 70000)
		want := want
		want.PayloadLength, want.Payload = 69980, b[20:]
		check(t, got, want, state, Whole)
	})
	t.Run("a later fragment", func(t *testing.T) {
		b := append([]byte(nil), b...)
		b[6], b[7] = 0x20, 3
		got, state := ParseIP(b, len(b))
		want := want
		want.DF, want.MF, want.FragmentOffset, want.Payload = false, true, 24, b[20:]
		check(t, got, want, state, Fragment)
	})
}

func TestIPv6(t *testing.T) {
	b := unhex(t, ipv6SYN)
	got, state := ParseIP(b, len(b))
	want := IP{
		Version: 6, Src: netip.MustParseAddr("2001:db8::1"), Dst: netip.MustParseAddr("2001:db8::2"),
		Protocol: ProtocolTCP, TTL: 64, TOS: 0x12, FlowLabel: 0x34567, HeaderLength: 40, PayloadLength: 40, Payload: b[40:],
	}
	check(t, got, want, state, Whole)

	extended := func(first byte, extensions string) []byte {
		e := unhex(t, extensions)
		out := append(append(append([]byte(nil), b[:40]...), e...), b[40:]...)
		out[5], out[6] = byte(40+len(e)), first
		return out
	}
	t.Run("extension headers are passed", func(t *testing.T) {
		b := extended(hopByHop, `3c00 010400000000 3301 0104 0000 0000 00000000 00000000 0604 0000 00000001 00000002 00112233 44556677 8899aabb`)
		got, state := ParseIP(b, len(b))
		want := want
		want.Options, want.HeaderLength, want.Payload = true, 88, b[88:]
		check(t, got, want, state, Whole)
	})
	t.Run("the first fragment has a transport header", func(t *testing.T) {
		b := extended(fragmentHeader, `0600 0001 01020304`)
		got, state := ParseIP(b, len(b))
		want := want
		want.MF, want.ID, want.HeaderLength, want.Payload = true, 0x01020304, 48, b[48:]
		check(t, got, want, state, Whole)
	})
	t.Run("a later fragment has none", func(t *testing.T) {
		b := extended(fragmentHeader, `0600 0010 01020304`)
		got, state := ParseIP(b, len(b))
		want := want
		want.FragmentOffset, want.ID, want.HeaderLength, want.Payload = 16, 0x01020304, 48, b[48:]
		check(t, got, want, state, Fragment)
	})
	t.Run("cut within an extension header", func(t *testing.T) {
		b := extended(hopByHop, `0601 010400000000 0000000000000000`)
		if got, state := ParseIP(b[:50], len(b)); state != Cut || got.Src != want.Src {
			t.Errorf("got %v from %v, want %v from %v", state, got.Src, Cut, want.Src)
		}
	})
}

func TestIPBroken(t *testing.T) {
	for name, packet := range map[string]string{
		"version 5":                        `5500003c abcd4000 40060000 c0000201 c6336402`,
		"header of 16 bytes":               `4400003c abcd4000 40060000 c0000201 c6336402`,
		"shorter than its header":          `45000013 abcd4000 40060000 c0000201 c6336402`,
		"extension longer than the packet": `60000000 00080040 20010db8000000000000000000000001 20010db8000000000000000000000002 06ff010400000000`,
	} {
		t.Run(name, func(t *testing.T) {
			b := unhex(t, packet)
			got, state := ParseIP(b, len(b))
			check(t, got, IP{}, state, Broken)
		})
	}
}

func TestTCP(t *testing.T) {
	b := unhex(t, tcpSYN)
	options := Options{
		Any: true, HasMSS: true, MSS: 1460, SACKPermitted: true,
		HasTimestamps: true, TSVal: 7, TSEcr: 9, HasWScale: true, WScale: 10,
	}
	want := TCP{
		SrcPort: 40000, DstPort: 443, Seq: 0x01020304, Flags: SYN, Window: 64240, Checksum: 0x1234,
		HeaderLength: 40, Known: 20, Options: options, Payload: []byte{},
	}
	got, state := ParseTCP(b, len(b))
	check(t, got, want, state, Whole)

	t.Run("with a payload", func(t *testing.T) {
		got, state := ParseTCP(append(b[:len(b):len(b)], "hello"...), len(b)+1000)
		want := want
		want.Payload, want.PayloadLength = []byte("hello"), 1000
		check(t, got, want, state, Whole)
	})
	t.Run("cut within the options", func(t *testing.T) {
		got, state := ParseTCP(b[:30], len(b))
		want := want
		want.Payload, want.Options = nil, Options{Any: true, HasMSS: true, MSS: 1460, SACKPermitted: true}
		check(t, got, want, state, Cut)
	})
	t.Run("the 8 bytes of a quotation", func(t *testing.T) {
		got, state := ParseTCP(b[:8], len(b))
		check(t, got, TCP{SrcPort: 40000, DstPort: 443, Seq: 0x01020304, Known: 8}, state, Cut)
	})
	t.Run("data offset below 20", func(t *testing.T) {
		b := append([]byte(nil), b...)
		b[12] = 0x40
		got, state := ParseTCP(b, len(b))
		check(t, got, TCP{}, state, Broken)
	})
	t.Run("data offset beyond the segment", func(t *testing.T) {
		got, state := ParseTCP(b[:30], 30)
		check(t, got, TCP{}, state, Broken)
	})
	t.Run("an option of length 1", func(t *testing.T) {
		b := append([]byte(nil), b...)
		b[25] = 1
		got, state := ParseTCP(b, len(b))
		want := want
		want.Options = Options{Any: true, HasMSS: true, MSS: 1460, Broken: true}
		check(t, got, want, state, Whole)
	})
}

func TestFlags(t *testing.T) {
	for flags, want := range map[Flags]string{0: "", RST | ACK: "RA", SYN | ACK: "SA", 0xff: "FSRPAUEC"} {
		if got := flags.String(); got != want {
			t.Errorf("%#x: got %q, want %q", uint8(flags), got, want)
		}
	}
}

func TestICMPError(t *testing.T) {
	t.Run("administratively prohibited, 8 bytes quoted", func(t *testing.T) {
		got, ok := ParseICMPError(unhex(t, `030d0000 00000000`+ipv4SYN)[:36], ProtocolICMP)
		if !ok || got.Type != 3 || got.Code != 13 || got.QuotedState != Whole || got.QuotedTCPState != Cut {
			t.Fatalf("got %+v, %v", got, ok)
		}
		if got.Quoted.Dst != netip.MustParseAddr("198.51.100.2") || got.QuotedTCP.DstPort != 443 || got.QuotedTCP.Seq != 0x01020304 {
			t.Errorf("got a quotation of %+v, want the SYN to 198.51.100.2:443", got)
		}
	})
	t.Run("fragmentation needed", func(t *testing.T) {
		got, ok := ParseICMPError(unhex(t, `03040000 000005aa`+ipv4SYN), ProtocolICMP)
		if !ok || got.MTU != 1450 || got.QuotedTCPState != Whole {
			t.Errorf("got MTU %d, %v, %v; want 1450 about a whole SYN", got.MTU, got.QuotedTCPState, ok)
		}
	})
	t.Run("packet too big", func(t *testing.T) {
		got, ok := ParseICMPError(unhex(t, `02000000 00000500`+ipv6SYN), ProtocolICMPv6)
		if !ok || got.MTU != 1280 || got.QuotedTCP.SrcPort != 40000 {
			t.Errorf("got MTU %d, port %d, %v; want 1280, 40000", got.MTU, got.QuotedTCP.SrcPort, ok)
		}
	})
	t.Run("an IPv4 packet in ICMPv6", func(t *testing.T) {
		if got, ok := ParseICMPError(unhex(t, `01010000 00000000`+ipv4SYN), ProtocolICMPv6); !ok || got.QuotedState != Broken {
			t.Errorf("got %v, %v; want a broken quotation", got.QuotedState, ok)
		}
	})
	t.Run("an echo request is no error", func(t *testing.T) {
		if _, ok := ParseICMPError(unhex(t, `08000000 00010001`+ipv4SYN), ProtocolICMP); ok {
			t.Error("taken for an error")
		}
	})
}

func TestNoAllocation(t *testing.T) {
	b := unhex(t, `03040000 000005aa`+ipv4SYN)
	if n := testing.AllocsPerRun(100, func() { ParseICMPError(b, ProtocolICMP) }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{ipv4SYN, ipv6SYN, `030d0000 00000000` + ipv4SYN} {
		f.Add(unhex(f, seed), 60)
	}
	f.Fuzz(func(t *testing.T, b []byte, wire int) {
		wire %= 1 << 20
		ip, state := ParseIP(b, wire)
		if len(ip.Payload) > ip.PayloadLength {
			t.Errorf("%d bytes of an IP payload of %d", len(ip.Payload), ip.PayloadLength)
		}
		if state == Broken && ip.Version != 0 {
			t.Error("a broken IP header that says something")
		}
		tcp, state := ParseTCP(ip.Payload, ip.PayloadLength)
		if len(tcp.Payload) > tcp.PayloadLength || tcp.PayloadLength < 0 {
			t.Errorf("%d bytes of a TCP payload of %d", len(tcp.Payload), tcp.PayloadLength)
		}
		if state == Whole && tcp.HeaderLength+len(tcp.Payload) > len(ip.Payload) {
			t.Error("more TCP than there are bytes")
		}
		ParseICMPError(b, ProtocolICMP)
		ParseICMPError(b, ProtocolICMPv6)
		ParseTCP(b, wire)
	})
}

func check[T any](t *testing.T, got, want T, state, wantState State) {
	t.Helper()
	if state != wantState {
		t.Errorf("got state %v, want %v", state, wantState)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
