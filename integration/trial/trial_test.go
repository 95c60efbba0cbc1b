package trial

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/header"
)

func TestDraw(t *testing.T) {
	drawn, delays, sides := map[string]int{}, map[time.Duration]bool{}, map[diagnose.Side]int{}
	places := map[string]int{}
	for n := range 10 * Ways() {
		d := Draw(7, n, true)
		if again := Draw(7, n, true); again.String() != d.String() {
			t.Fatalf("trial %d: got %v and then %v", n, d, again)
		}
		if _, ok := cause.ByID(d.Scenario.Cause); !ok {
			t.Errorf("%v: %s is no cause", d, d.Scenario.Cause)
		}
		if d.Scenario.Delay < 0 || d.Scenario.Delay > longestDelay {
			t.Errorf("%v: the delay is %v", d, d.Scenario.Delay)
		}
		drawn[d.Scenario.Cause]++
		delays[d.Scenario.Delay] = true
		sides[d.Scenario.Side]++
		places[fmt.Sprint(d.Place, d.Offload, d.Scenario.NearServer)]++
	}
	if len(drawn) < 20 || len(delays) < 100 || sides[diagnose.SideUpstream] < 100 || sides[diagnose.SideDownstream] < 100 || len(places) != 16 {
		t.Errorf("%d causes, %d delays, sides %v, %d places", len(drawn), len(delays), sides, len(places))
	}
	if slices.ContainsFunc(ways, func(w way) bool { return w.story == "" || w.play == nil }) {
		t.Error("a way is not told or not played")
	}
}

// A forged reset must be one that a receiver's stack takes: with a right checksum, at the right number.
func TestForgedPacket(t *testing.T) {
	for _, addresses := range [][2]string{{"10.77.2.2", "10.77.1.2"}, {"fd77:2::2", "fd77:1::2"}} {
		from, to := netip.MustParseAddr(addresses[0]), netip.MustParseAddr(addresses[1])
		s := &seen{ip: header.IP{Src: from, Dst: to, Version: 4, TTL: 64, ID: 99}, tcp: header.TCP{SrcPort: 80, DstPort: 40000, Window: 64}, end: 1000, acked: 500, acks: true}
		if from.Is6() {
			s.ip.Version = 6
		}
		for _, a := range []ack{noAck, strayAck, flagAck} {
			b := s.packet(disguise{TTL: true, ID: true, Window: true, ack: a, guess: 7}, &seen{acked: 1200}, 3)
			ip, state := header.ParseIP(b, len(b))
			tcp, tcpState := header.ParseTCP(ip.Payload, ip.PayloadLength)
			if state != header.Whole && from.Is6() || tcpState != header.Whole {
				t.Fatalf("%v: %v, %v", from, state, tcpState)
			}
			if ip.Src != from || ip.Dst != to || ip.TTL != 63 || tcp.Seq != 1203 || tcp.Flags&header.RST == 0 || tcp.Window != 64 {
				t.Errorf("%v: got %+v %+v", from, ip, tcp)
			}
			if flagged := tcp.Flags&header.ACK != 0; flagged != (a == flagAck) || flagged && tcp.Ack != 500 || a == noAck && tcp.Ack != 0 {
				t.Errorf("%v: acknowledgement %d, flags %v", from, tcp.Ack, tcp.Flags)
			}
			segment := slices.Clone(b[len(b)-20:])
			if sum := sumOf(from.AsSlice(), to.AsSlice(), []byte{0, header.ProtocolTCP, 0, byte(len(segment))}, segment); sum != 0xffff {
				t.Errorf("%v: with its checksum %#04x in it the sum of the segment is %#04x, want all ones (RFC 9293 §3.1)", from, binary.BigEndian.Uint16(segment[16:]), sum)
			}
		}
	}
}

// sumOf adds up 16-bit words as a receiver does, RFC 1071.
func sumOf(parts ...[]byte) (sum uint16) {
	for _, part := range parts {
		for i := 0; i < len(part); i += 2 {
			wide := uint32(sum) + uint32(binary.BigEndian.Uint16(part[i:]))
			sum = uint16(wide) + uint16(wide>>16)
		}
	}
	return sum
}
