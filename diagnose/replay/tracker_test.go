package replay

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"whyreset/diagnose/header"
	"whyreset/diagnose/record"
)

// segment is a line of a script: who sends it (c from port 40000 to 443, s back, or "ip:port>ip:port"), flags, sequence number,
// acknowledgment, bytes of payload, TTL.
func segment(t testing.TB, line string) []byte {
	t.Helper()
	var who, flags string
	var seq, ack uint32
	var payload, ttl int
	if _, err := fmt.Sscan(line, &who, &flags, &seq, &ack, &payload, &ttl); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	switch who {
	case "c":
		who = "192.0.2.1:40000>198.51.100.2:443"
	case "s":
		who = "198.51.100.2:443>192.0.2.1:40000"
	}
	from, to, _ := strings.Cut(who, ">")
	src, dst := netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)
	var bits byte
	for _, letter := range flags {
		bits |= 1 << strings.IndexRune("FSRPAUEC", letter)
	}
	be := binary.BigEndian
	b := []byte{0x45, 0}
	b = be.AppendUint16(b, uint16(40+payload))
	b = append(b, 0, 0, 0, 0, byte(ttl), header.ProtocolTCP, 0, 0)
	b = append(append(b, src.Addr().AsSlice()...), dst.Addr().AsSlice()...)
	b = be.AppendUint16(be.AppendUint16(b, src.Port()), dst.Port())
	b = be.AppendUint32(be.AppendUint32(b, seq), ack)
	b = append(b, 0x50, bits, 0xff, 0xff, 0, 0, 0, 0)
	return append(b, make([]byte, payload)...)
}

// play tracks the segments of a script, a second apart.
func play(t testing.TB, script ...string) (all []*Connection) {
	t.Helper()
	tracker := NewTracker(func(c *Connection) { all = append(all, c) })
	for i, line := range script {
		b := segment(t, line)
		tracker.Add(&Frame{Number: i + 1, At: start.Add(time.Duration(i) * time.Second), Link: linkRaw, Wire: len(b), Data: b})
	}
	tracker.Flush()
	return all
}

var handshake = []string{"c S 100 0 0 64", "s SA 500 101 0 57", "c A 101 501 0 64"}

func TestReset(t *testing.T) {
	opened := func(rest ...string) []string { return append(handshake[:3:3], rest...) }
	delta := func(ttl int, seq int32) (*int, *int32) { return &ttl, &seq }
	for name, c := range map[string]struct {
		script   []string
		want     record.Capture
		ttl, seq int
		first    bool // the RST is its sender's first packet: there is nothing to compare with
	}{
		"closed port": {
			script: []string{"c S 100 0 0 64", "s RA 0 101 0 57"}, first: true,
			want: record.Capture{Resetter: "server", Frame: 2, Flags: "RA", FromServer: 1, Stage: PostSYN},
		},
		"SYN-ACK refused": {
			script: []string{"c S 100 0 0 64", "s SA 500 101 0 57", "c R 101 0 0 63"}, ttl: -1,
			want: record.Capture{Resetter: "client", Frame: 3, Flags: "R", FromClient: 1, Stage: PostSYNACK},
		},
		"after the handshake": {
			script: opened("s R 501 0 0 57"),
			want:   record.Capture{Resetter: "server", Frame: 4, Flags: "R", FromServer: 1, Stage: PostHandshake},
		},
		"data, forged from nearer with a jump": {
			script: opened("c PA 101 501 50 64", "s RA 2000 151 0 62", "s A 501 151 0 57", "s PA 501 151 9 57", "c A 151 510 0 64"), ttl: 5, seq: 1499,
			want: record.Capture{Resetter: "server", Frame: 5, Flags: "RA", FromServer: 1, Stage: PostData, Continued: true},
		},
		"one side goes on": {
			script: opened("c PA 101 501 50 64", "s RA 501 151 0 57", "c A 151 501 0 64", "c RA 151 501 0 64"),
			want:   record.Capture{Resetter: "server", Frame: 5, Flags: "RA", FromClient: 1, FromServer: 1, Stage: PostData},
		},
		"after FIN, one short": {
			script: opened("s FA 501 101 10 57", "c A 101 512 0 64", "s R 511 0 0 57"), seq: -1,
			want: record.Capture{Resetter: "server", Frame: 6, Flags: "R", FromServer: 1, Stage: PostFIN},
		},
		"a keepalive probe raises nothing": {
			script: opened("s A 500 101 1 57", "s R 501 0 0 57"),
			want:   record.Capture{Resetter: "server", Frame: 5, Flags: "R", FromServer: 1, Stage: PostData},
		},
		"sequence numbers wrap": {
			script: []string{"c S 4294967290 0 0 64", "s SA 500 4294967291 0 57", "c A 4294967291 501 10 64", "c R 5 0 0 64"},
			want:   record.Capture{Resetter: "client", Frame: 4, Flags: "R", FromClient: 1, Stage: PostData},
		},
		"orphan of a high port": {
			script: []string{"c R 5 0 0 64"}, first: true,
			want: record.Capture{Resetter: "client", Frame: 1, Flags: "R", FromClient: 1, Stage: Orphan},
		},
		"orphan between equal ports": {
			script: []string{"192.0.2.1:50000>192.0.2.2:40000 R 5 0 0 64"}, first: true,
			want: record.Capture{Resetter: "server", Frame: 1, Flags: "R", FromServer: 1, Stage: Orphan},
		},
		"midstream": {
			script: []string{"s A 501 101 0 57", "c R 101 0 0 64"}, first: true,
			want: record.Capture{Resetter: "client", Frame: 2, Flags: "R", FromClient: 1, Stage: MidstreamNoData},
		},
		"midstream with data": {
			script: []string{"s A 501 101 9 57", "s R 510 0 0 57"},
			want:   record.Capture{Resetter: "server", Frame: 2, Flags: "R", FromServer: 1, Stage: MidstreamData},
		},
		"midstream with FIN": {
			script: []string{"c FA 101 501 9 64", "s R 510 0 0 57"}, first: true,
			want: record.Capture{Resetter: "server", Frame: 2, Flags: "R", FromServer: 1, Stage: MidstreamFIN},
		},
		"SYN-ACK only": {
			script: []string{"192.0.2.1:443>192.0.2.2:80 SA 5 9 0 64", "192.0.2.2:80>192.0.2.1:443 R 9 0 0 64"}, first: true,
			want: record.Capture{Resetter: "client", Frame: 2, Flags: "R", FromClient: 1, Stage: PostSYNACK},
		},
		"both open at once": {
			script: []string{"c S 100 0 0 64", "s S 500 0 0 57", "c SA 100 501 0 64", "s A 501 101 0 57", "c R 101 0 0 64"},
			want:   record.Capture{Resetter: "client", Frame: 5, Flags: "R", FromClient: 1, Stage: PostHandshake},
		},
		"SYN seen after the SYN-ACK": {
			script: []string{"s SA 500 101 0 57", "c S 100 0 0 64", "s R 501 0 0 57"},
			want:   record.Capture{Resetter: "server", Frame: 3, Flags: "R", FromServer: 1, Stage: PostSYNACK},
		},
		"SYN again": {
			script: []string{"c S 100 0 0 64", "s RA 0 101 0 57", "c S 100 0 0 64", "s RA 0 101 0 57"}, first: true,
			want: record.Capture{Resetter: "server", Frame: 2, Flags: "RA", FromServer: 2, Stage: PostSYN},
		},
	} {
		t.Run(name, func(t *testing.T) {
			all := play(t, c.script...)
			if len(all) != 1 {
				t.Fatalf("got %d connections, want 1", len(all))
			}
			if !c.first {
				c.want.TTLDelta, c.want.SeqDelta = delta(c.ttl, int32(c.seq))
			}
			if diff := cmp.Diff(&c.want, all[0].Reset); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestResetJSON(t *testing.T) {
	all := play(t, append(handshake[:3:3], "s RA 500 101 0 64", "c S 100 0 0 64", "s A 501 101 0 57")...)
	got, err := json.Marshal(all[0].Reset)
	want := `{"resetter":"server","frame":4,"flags":"RA","rst_from_client":0,"rst_from_server":1,"stage":"post-handshake","ttl_delta":7,"seq_delta":-1,"continued":true}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	got, err = json.Marshal(play(t, "c R 5 0 0 64")[0].Reset)
	want = `{"resetter":"client","frame":1,"flags":"R","rst_from_client":1,"rst_from_server":0,"stage":"orphan","continued":false}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}

func TestPortReuse(t *testing.T) {
	for name, again := range map[string]string{
		"a SYN with another number":        "c S 9000 0 0 64",
		"a SYN from the end that answered": "s S 9000 0 0 57",
	} {
		t.Run(name, func(t *testing.T) {
			all := play(t, append(handshake[:3:3], "c R 101 501 0 64", again, "c R 9001 0 0 64")...)
			if len(all) != 2 {
				t.Fatalf("got %d connections, want 2", len(all))
			}
			if all[0].LastFrame != 4 || all[1].FirstFrame != 5 || all[1].Reset == nil || all[1].Reset.Frame != 6 {
				t.Errorf("got %+v and %+v, want a border between frames 4 and 5", all[0], all[1])
			}
		})
	}
}

func TestConnection(t *testing.T) {
	all := play(t, append(handshake[:3:3], "c PA 101 501 50 64", "s A 501 151 1000 57", "c FA 151 1501 0 64", "s FA 1501 152 0 57")...)
	if len(all) != 1 {
		t.Fatalf("got %d connections, want 1", len(all))
	}
	want := &Connection{
		Client: netip.MustParseAddrPort("192.0.2.1:40000"), Server: netip.MustParseAddrPort("198.51.100.2:443"),
		FirstFrame: 1, LastFrame: 7, First: start, Last: start.Add(6 * time.Second),
		ISN: 100, HasISN: true, Packets: [2]int{4, 3}, Bytes: [2]int{50, 1000}, Handshake: true, FIN: [2]bool{true, true},
	}
	same := cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
	if diff := cmp.Diff(want, all[0], same, cmpopts.IgnoreUnexported(Connection{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if all[0].OneSided() {
		t.Error("taken for one direction only")
	}
}

func TestICMPOfConnection(t *testing.T) {
	var all []*Connection
	tracker := NewTracker(func(c *Connection) { all = append(all, c) })
	syn := segment(t, "c S 100 0 0 64")
	quote := append(unhex(`45000038 00000000 40010000 0a000001 c0000201 030d0000 00000000`), syn[:28]...)
	stranger := append(quote[:48:48], 1, 1, 1, 1, 0, 0, 0, 0)
	for i, b := range [][]byte{syn, quote, stranger} {
		tracker.Add(&Frame{Number: i + 1, At: start, Link: linkRaw, Wire: len(b), Data: b})
	}
	tracker.Flush()
	want := []ICMP{{Frame: 2, At: start, From: netip.MustParseAddr("10.0.0.1"), About: Client, Type: 3, Code: 13, Seq: 100, TTL: 64}}
	same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, all[0].ICMP, same); len(all) != 1 || diff != "" {
		t.Errorf("got %d connections, want 1; -want +got:\n%s", len(all), diff)
	}
	if tracker.Frames != [kinds]int{Segment: 1, ICMPError: 2} {
		t.Errorf("got %v frames by kind, want a segment and two ICMP errors", tracker.Frames)
	}
}

// What says nothing of a connection is counted, and starts none.
func TestNotBelieved(t *testing.T) {
	whole := segment(t, "c R 100 0 0 64")
	edit := func(at int, b byte) []byte {
		out := append([]byte(nil), whole...)
		out[at] = b
		return out
	}
	for name, c := range map[string]struct {
		data []byte
		want Kind
	}{
		"a later fragment":         {edit(7, 5), Fragment},
		"a data offset below 20":   {edit(32, 0x40), Broken},
		"an IP header of 16":       {edit(0, 0x44), Broken},
		"TCP cut before its flags": {whole[:32], TooShort},
		"UDP":                      {edit(9, 17), Other},
	} {
		t.Run(name, func(t *testing.T) {
			tracker := NewTracker(func(c *Connection) { t.Errorf("got connection %+v", c) })
			tracker.Add(&Frame{Number: 1, At: start, Link: linkRaw, Wire: len(whole), Data: c.data})
			tracker.Flush()
			if tracker.Frames[c.want] != 1 {
				t.Errorf("got %v frames by kind, want one %v", tracker.Frames, c.want)
			}
		})
	}
}

// Memory follows the connections that live, not those that were.
func TestTrackerForgets(t *testing.T) {
	const hosts = 3 * few
	ended, most := 0, 0
	tracker := NewTracker(func(*Connection) { ended++ })
	add := func(i int, at time.Duration, line string) {
		b := segment(t, fmt.Sprintf("10.%d.%d.%d:40000>198.51.100.2:443 %s", i>>16, i>>8&255, i&255, line))
		tracker.Add(&Frame{Number: i + 1, At: start.Add(at), Link: linkRaw, Wire: len(b), Data: b})
		most = max(most, tracker.Live())
	}
	add(hosts, 0, "A 5 5 0 64") // one that stays open
	for i := range hosts {
		add(i, time.Duration(i)*10*time.Millisecond, "R 5 0 0 64")
	}
	if limit := few + 1; most > limit {
		t.Errorf("got %d connections in memory at once, want at most %d", most, limit)
	}
	live := tracker.Live()
	add(hosts, time.Hour, "R 5 0 0 64")
	if tracker.Live() != live {
		t.Errorf("got %d connections after a packet of the open one, want %d as before", tracker.Live(), live)
	}
	tracker.Flush()
	if ended != hosts+1 {
		t.Errorf("got %d connections told, want %d", ended, hosts+1)
	}
}

func FuzzTracker(f *testing.F) {
	var file [][]byte
	for _, line := range append(handshake[:3:3], "s RA 501 101 0 57", "c S 900 0 0 64") {
		file = append(file, segment(f, line))
	}
	f.Add(uint16(linkRaw), join(file...))
	f.Fuzz(func(t *testing.T, link uint16, b []byte) {
		told, packets := 0, 0
		tracker := NewTracker(func(c *Connection) {
			told++
			packets += c.Packets[Client] + c.Packets[Server]
			if r := c.Reset; r != nil && (r.FromClient+r.FromServer < 1 || r.Frame < c.FirstFrame || r.Frame > c.LastFrame) {
				t.Errorf("got reset %+v of %+v", r, c)
			}
			if fault := evidenceFault(c); fault != "" {
				t.Error(fault)
			}
		})
		for n := 1; len(b) > 0; n++ {
			data := b[:min(40, len(b))]
			b = b[len(data):]
			tracker.Add(&Frame{Number: n, Link: LinkType(link), Wire: len(data), Data: data})
		}
		tracker.Flush()
		if packets != tracker.Frames[Segment] || told > packets {
			t.Errorf("got %d packets in %d connections out of %d segments", packets, told, tracker.Frames[Segment])
		}
	})
}
