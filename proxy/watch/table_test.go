package watch

import (
	"net/netip"
	"testing"
	"time"

	"whyreset/diagnose/evidence"
)

// tableTest plays packets between our end and far ones, known by their ports.
type tableTest struct {
	table
	now time.Duration
}

func newTableTest() *tableTest { return &tableTest{table: newTable()} }

func testKey(far uint16) key {
	return keyOf(netip.MustParseAddrPort("192.0.2.1:80"), netip.AddrPortFrom(netip.MustParseAddr("198.51.100.9"), far))
}

// packet gives the table one of a wire.
func (t *tableTest) packet(far uint16, by int, flags evidence.TCPFlags, seq, ack uint32) {
	t.from(far, by, flags, seq, ack, false)
}

func (t *tableTest) from(far uint16, by int, flags evidence.TCPFlags, seq, ack uint32, loopback bool) {
	t.now += time.Millisecond
	p := evidence.Packet{From: evidence.Leg(by), Flags: flags, Seq: seq, Ack: ack, TTL: 60, WindowScale: evidence.NoScale}
	t.add(testKey(far), &arrival{note: note{at: t.now, device: 2, Packet: p}, by: by, loopback: loopback})
}

const synack = evidence.SYN | evidence.ACK

// handshake begins a connection of the far end's.
func (t *tableTest) handshake(far uint16, isn uint32) {
	t.packet(far, fromFar, evidence.SYN, isn, 0)
	t.packet(far, fromUs, synack, 5000, isn+1)
	t.packet(far, fromFar, evidence.ACK, isn+1, 5001)
}

// generations are how many flows of that four-tuple there are.
func (t *tableTest) generations(far uint16) (n int) {
	for f := t.flows[testKey(far)]; f != nil; f = f.prev {
		n++
	}
	return n
}

func TestGenerations(t *testing.T) {
	const isn, next = 7, 900 // of the connection there is, and of the one that may come
	for name, c := range map[string]struct {
		play func(*tableTest)
		want int
	}{
		"a SYN sent again": {func(t *tableTest) { t.packet(1, fromFar, evidence.SYN, isn, 0) }, 1},
		"after a reset": {func(t *tableTest) {
			t.packet(1, fromFar, evidence.RST, isn+1, 0)
			t.handshake(1, next)
		}, 2},
		"a stray SYN in a connection that lives": {func(t *tableTest) { t.packet(1, fromFar, evidence.SYN, next, 0) }, 1},
		"a SYN that our kernel only challenges": {func(t *tableTest) {
			t.packet(1, fromFar, evidence.SYN, next, 0)
			t.packet(1, fromUs, evidence.ACK, 5001, isn+1)
		}, 1},
		"a SYN that our kernel answers": {func(t *tableTest) { t.handshake(1, next) }, 2},
		"the other leg, by the loopback device": {func(t *tableTest) {
			t.from(1, fromFar, evidence.SYN, next, 0, true)
			t.from(1, fromUs, synack, 1, next+1, true)
		}, 1},
		"FIN both ways, and the same port again": {func(t *tableTest) {
			t.packet(1, fromFar, evidence.FINFlag, isn+1, 0)
			t.packet(1, fromUs, evidence.FINFlag, 5001, isn+2)
			t.handshake(1, next)
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			played := newTableTest()
			played.handshake(1, isn)
			c.play(played)
			if got := played.generations(1); got != c.want {
				t.Fatalf("got %d connections, want %d", got, c.want)
			}
			newest := played.flows[testKey(1)]
			if want := uint32(isn); c.want == 1 && newest.isn != want {
				t.Errorf("got ISN %d, want %d", newest.isn, want)
			}
			if c.want == 2 && (newest.isn != next || newest.missed || newest.prev.isn != isn) {
				t.Errorf("got ISN %d after %d, missed %v, want %d after %d, all seen", newest.isn, newest.prev.isn, newest.missed, next, isn)
			}
		})
	}
}

// A leg on the loopback device gives way to the wire's: only there does the four-tuple begin in this direction.
func TestWireGoesBeforeLoopback(t *testing.T) {
	played := newTableTest()
	played.from(1, fromUs, evidence.SYN, 1, 0, true)
	played.packet(1, fromUs, evidence.SYN, 2, 0)
	played.from(1, fromFar, synack, 3, 2, true)
	played.packet(1, fromFar, synack, 9, 3)
	f := played.flows[testKey(1)]
	if f.loopback || f.packets != [2]uint32{1, 1} || f.account.Streams[fromFar].Next != 10 {
		t.Errorf("got a flow with %v packets, loopback %v, want the one on the wire", f.packets, f.loopback)
	}
}

// The table is bounded: those that are over go first, then who was silent longest; slots are used again.
func TestTableIsBounded(t *testing.T) {
	played := newTableTest()
	played.most = 4
	for port := range uint16(4) {
		played.handshake(port, 7)
	}
	played.packet(2, fromFar, evidence.RST, 8, 0)
	played.handshake(10, 7)
	if played.flows[testKey(2)] != nil || played.crowded == 0 {
		t.Error("want the flow forgotten that was over, and a mark of it")
	}
	played.packet(0, fromFar, evidence.ACK, 8, 5001)
	played.handshake(11, 7)
	if played.flows[testKey(1)] != nil || played.flows[testKey(0)] == nil {
		t.Error("want the flow forgotten that was silent longest")
	}
	if n := played.live.n + played.ended.n; n != 4 || len(played.flows) != 4 || played.free != nil {
		t.Errorf("got %d flows, %d of them by four-tuple, want 4 and no slot unused", n, len(played.flows))
	}
}

// Flows that are over are kept for late packets and late questions, and no longer.
func TestEndedAreForgotten(t *testing.T) {
	played := newTableTest()
	played.handshake(1, 7)
	played.packet(1, fromFar, evidence.RST, 8, 0)
	played.now += keepOver - time.Second
	played.handshake(2, 7)
	if played.flows[testKey(1)] == nil {
		t.Error("it was forgotten too soon")
	}
	played.now += 2 * time.Second
	played.handshake(3, 7)
	if played.flows[testKey(1)] != nil {
		t.Error("it is still there")
	}
}
