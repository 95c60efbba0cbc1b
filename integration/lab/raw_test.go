package lab_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"whyreset/integration/lab"
)

// A packet is sent as it is given, in anybody's name.
func TestSend(t *testing.T) {
	t.Parallel()
	n := newNet(t)
	four := make([]byte, 40)
	four[0], four[8], four[9] = 4<<4|5, 33, 6
	copy(four[12:], n.Client.Addr4().AsSlice())
	copy(four[16:], n.Server.Addr4().AsSlice())
	six := make([]byte, 60)
	six[0], six[5], six[6], six[7] = 6<<4, 20, 6, 33
	copy(six[8:], n.Client.Addr6().AsSlice())
	copy(six[24:], n.Server.Addr6().AsSlice())
	seen, err := n.Server.Capture("eth0")
	if err != nil {
		t.Fatal(err)
	}
	for _, packet := range [][]byte{four, six} {
		binary.BigEndian.PutUint16(packet[len(packet)-20:], 4711) // a source port by which it is known again
		if err := n.Router.Send(packet); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Router.Send([]byte("no packet")); err == nil {
		t.Error("what is no packet was sent")
	}
	// What was sent before it has arrived when this is through.
	peer := serve(t, n.Server, 80)
	for _, at := range families(n.Server) {
		if err := reach(t.Context(), n.Client, netip.AddrPortFrom(at, 80)); err != nil {
			t.Fatal(err)
		}
	}
	peer.Stop()
	frames, err := seen.Frames()
	if err != nil {
		t.Fatal(err)
	}
	got := map[byte]int{}
	for _, f := range frames {
		ip := f.Bytes[14:]
		header, ttl := 20, 8
		if ip[0]>>4 == 6 {
			header, ttl = 40, 7
		}
		if len(ip) >= header+2 && binary.BigEndian.Uint16(ip[header:]) == 4711 && ip[ttl] == 33 {
			got[ip[0]>>4]++
		}
	}
	if got[4] != 1 || got[6] != 1 {
		t.Errorf("the server's host got %v, want one packet of each IP version with its TTL", got)
	}
}

// With offloads frames are as long as segments are before they are cut, without them no longer than the wire takes.
func TestOffload(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{true, false} {
		n := newNet(t)
		for _, h := range []*lab.Host{n.Client, n.Router, n.Server} {
			if err := h.Offload(on); err != nil {
				t.Fatal(err)
			}
		}
		seen, err := n.Server.Capture("eth0")
		if err != nil {
			t.Fatal(err)
		}
		ln, err := n.Server.Listen("tcp", netip.AddrPortFrom(n.Server.Addr4(), 0).String())
		if err != nil {
			t.Fatal(err)
		}
		peer := lab.Serve(ln, lab.Script{Steps: []lab.Step{lab.ReadAll()}})
		conn, err := n.Client.Dial(t.Context(), "tcp", netip.MustParseAddrPort(ln.Addr().String()))
		if err != nil {
			t.Fatal(err)
		}
		lab.Run(t.Context(), conn, lab.Script{Steps: []lab.Step{lab.Write(200_000)}})
		if _, err := peer.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		peer.Stop()
		frames, err := seen.Frames()
		if err != nil {
			t.Fatal(err)
		}
		longest := 0
		for _, f := range frames {
			longest = max(longest, len(f.Bytes))
		}
		if longest > 1514 != on {
			t.Errorf("offloads %v: the longest frame has %d bytes, of a wire that takes 1514", on, longest)
		}
	}
}
