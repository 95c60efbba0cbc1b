package replay

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"whyreset/diagnose/evidence"
	"whyreset/diagnose/packet"
)

// packetsOf are the packets that the evidence tells of.
func packetsOf(ev evidence.Evidence) (packets []evidence.Packet) {
	for _, o := range ev.Observations {
		if p, ok := o.What.(evidence.Packet); ok {
			packets = append(packets, p)
		}
	}
	return packets
}

// streamsOf are the accounts of client and server at the end.
func streamsOf(t *testing.T, ev evidence.Evidence) (client, server evidence.Stream) {
	t.Helper()
	n := len(ev.Observations)
	for _, o := range ev.Observations[n-2:] {
		s, ok := o.What.(evidence.Stream)
		if !ok {
			t.Fatalf("got %+v at the end, want the streams", o)
		}
		if s.From == evidence.Downstream {
			client = s
		} else {
			server = s
		}
	}
	return client, server
}

// marks is what was found out about a packet beyond its header, by letters.
func marks(p evidence.Packet) string {
	s := ""
	for _, m := range []struct {
		is     bool
		letter string
	}{{p.Repeat, "repeat "}, {p.Probe, "probe "}, {p.Copy, "copy "}, {p.Sampled, "sampled "}, {p.Cut, "cut "}} {
		if m.is {
			s += m.letter
		}
	}
	return strings.TrimSpace(s)
}

func TestEvidenceMarks(t *testing.T) {
	for name, c := range map[string]struct {
		script []string // behind the handshake
		want   []string // marks of the packets behind the handshake
	}{
		"data again":                     {[]string{"c PA 101 501 50 64", "c PA 101 501 50 64"}, []string{"", "repeat"}},
		"half of it again":               {[]string{"c PA 101 501 50 64", "c PA 126 501 50 64"}, []string{"", ""}},
		"FIN again":                      {[]string{"c FA 101 501 0 64", "c FA 101 501 0 64"}, []string{"", "repeat"}},
		"out of order fills the hole":    {[]string{"c PA 151 501 50 64", "c PA 101 501 50 64"}, []string{"", ""}},
		"the filled hole again":          {[]string{"c PA 151 501 50 64", "c PA 101 501 50 64", "c PA 101 501 50 64"}, []string{"", "", "repeat"}},
		"an acknowledgement again":       {[]string{"c A 101 501 0 64"}, []string{""}},
		"keepalive":                      {[]string{"c PA 101 501 50 64", "s A 501 151 0 57", "c A 150 501 0 64"}, []string{"", "", "probe"}},
		"keepalive with a byte":          {[]string{"c PA 101 501 50 64", "s A 501 151 0 57", "c A 150 501 1 64"}, []string{"", "", "probe"}},
		"a single byte again":            {[]string{"c PA 101 501 1 64", "c PA 101 501 1 64"}, []string{"", "repeat"}},
		"zero-window probe":              {[]string{"c PA 101 501 50 64", "s A 501 101 0 57", "c A 100 501 0 64"}, []string{"", "", "probe"}},
		"a reset at the end is no probe": {[]string{"c R 100 0 0 64"}, []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			all := play(t, append(handshake[:3:3], c.script...)...)
			var got []string
			for _, p := range packetsOf(all[0].Evidence())[3:] {
				got = append(got, marks(p))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// playFrames tracks frames a millisecond apart.
func playFrames(t *testing.T, frames ...[]byte) (all []*Connection) {
	t.Helper()
	tracker := NewTracker(func(c *Connection) { all = append(all, c) })
	for i, b := range frames {
		tracker.Add(&Frame{Number: i + 1, At: start.Add(time.Duration(i) * time.Millisecond), Link: linkRaw, Wire: len(b), Data: b})
	}
	tracker.Flush()
	if len(all) == 0 {
		t.Fatal("got no connection")
	}
	return all
}

func withID(b []byte, id uint16) []byte {
	binary.BigEndian.PutUint16(b[4:], id)
	return b
}

// What was met at two places of the path is told once, but for the counts of whyreset.capture.
func TestEvidenceCopies(t *testing.T) {
	for name, c := range map[string]struct {
		frames [][]byte
		want   []string
	}{
		"same IP ID one hop on": {
			[][]byte{withID(segment(t, "c S 100 0 0 64"), 7), withID(segment(t, "c S 100 0 0 63"), 7)}, []string{"", "copy"},
		},
		"another IP ID is sent again": {
			[][]byte{withID(segment(t, "c S 100 0 0 64"), 7), withID(segment(t, "c S 100 0 0 63"), 8)}, []string{"", "repeat"},
		},
		"same IP ID at another device of the host": {
			[][]byte{withID(segment(t, "c S 100 0 0 64"), 7), withID(segment(t, "c S 100 0 0 64"), 7)}, []string{"", "copy"},
		},
		"no IP ID, same TTL: sent again": {
			[][]byte{segment(t, "c S 100 0 0 64"), segment(t, "c S 100 0 0 64")}, []string{"", "repeat"},
		},
		"no IP ID, another TTL": {
			[][]byte{segment(t, "c S 100 0 0 64"), segment(t, "c S 100 0 0 63")}, []string{"", "copy"},
		},
		"resets without IP ID and a TTL that rises are several": {
			[][]byte{segment(t, "c S 100 0 0 64"), segment(t, "s RA 0 101 0 50"), segment(t, "s RA 0 101 0 51")}, []string{"", "", ""},
		},
		"a reset as far from its copy as the packet before": {
			[][]byte{
				withID(segment(t, "s A 501 101 0 50"), 9), withID(segment(t, "s A 501 101 0 49"), 9),
				segment(t, "s R 501 0 0 50"), segment(t, "s R 501 0 0 49"), segment(t, "s R 501 0 0 51"),
			}, []string{"", "copy", "", "copy", ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn := playFrames(t, c.frames...)[0]
			var got []string
			copies := 0
			for _, p := range packetsOf(conn.Evidence()) {
				got = append(got, marks(p))
				if p.Copy {
					copies++
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			client, server := streamsOf(t, conn.Evidence())
			if n := int(client.Packets + server.Packets); n != len(c.frames)-copies {
				t.Errorf("got %d packets in the streams, want %d", n, len(c.frames)-copies)
			}
		})
	}
}

// A long connection is told by its beginning, its end and what stood around its first reset; the gaps are marked.
func TestEvidenceIsBounded(t *testing.T) {
	script := handshake[:3:3]
	seq := 101
	exchange := func(times int) {
		for range times {
			script = append(script, fmt.Sprintf("c PA %d 501 10 64", seq), fmt.Sprintf("s A 501 %d 0 57", seq+10))
			seq += 10
		}
	}
	exchange(1000)
	t.Run("without a reset", func(t *testing.T) {
		ev := play(t, script...)[0].Evidence()
		packets := packetsOf(ev)
		if len(packets) != keepOpening+keepLast {
			t.Fatalf("got %d packets, want %d", len(packets), keepOpening+keepLast)
		}
		for i, p := range packets {
			if want := i == keepOpening || i == keepOpening+1; p.Sampled != want { // the first of each direction behind the gap
				t.Errorf("packet %d, frame %d: got sampled %v, want %v", i, p.Frame, p.Sampled, want)
			}
		}
		client, server := streamsOf(t, ev)
		if client.Packets != 1002 || server.Packets != 1001 || client.Bytes != 10_000 || server.Bytes != 0 {
			t.Errorf("got %+v and %+v, want an account of all packets", client, server)
		}
	})
	reset := len(script) + 1
	script = append(script, fmt.Sprintf("s RA 501 %d 0 57", seq))
	exchange(1000)
	t.Run("with one", func(t *testing.T) {
		ev := play(t, script...)[0].Evidence()
		packets := packetsOf(ev)
		if want := keepOpening + keepLast + keepAfter + keepLast; len(packets) != want {
			t.Fatalf("got %d packets, want %d", len(packets), want)
		}
		if got := packets[keepOpening+keepLast]; got.Frame != uint64(reset) || got.Flags.String() != "RA" || got.Sampled {
			t.Errorf("got %+v, want the reset of frame %d right behind what came before it", got, reset)
		}
		var before []evidence.Stream
		for i, o := range ev.Observations {
			if p, ok := o.What.(evidence.Packet); ok && p.Frame == uint64(reset) {
				before = append(before, ev.Observations[i-2].What.(evidence.Stream), ev.Observations[i-1].What.(evidence.Stream))
			}
		}
		if fault := recordFault(ev); fault != "" {
			t.Error(fault)
		}
		if len(before) != 2 || before[0].Packets+before[1].Packets != uint64(reset-1) || before[0].Resets+before[1].Resets != 0 {
			t.Errorf("got %+v before the reset, want the account of the %d packets before it", before, reset-1)
		}
	})
}

func TestEvidenceStreams(t *testing.T) {
	client, server := streamsOf(t, play(t, append(handshake[:3:3],
		"c PA 101 501 50 64", "s A 501 151 0 57", "c PA 101 501 50 64", // again
		"s PA 601 151 100 56", // 100 bytes before it are missing
		"s PA 501 151 40 57",  // 40 of them come
		"c A 151 801 0 64",    // acknowledges 100 bytes that were never seen
		"c FA 151 801 0 64", "s R 801 0 0 57")...)[0].Evidence())
	wantClient := evidence.Stream{
		From: evidence.Downstream, To: evidence.Upstream, Packets: 6, Bytes: 50, Repeated: 50,
		LastAt: 9 * time.Second, LastDataAt: 3 * time.Second, FIN: true, FINAt: 9 * time.Second,
		Next: 152, Acked: 801, HasNext: true, HasAck: true, MinTTL: 64, MaxTTL: 64, MaxPayload: 50,
		HandshakeRTT: time.Second, MinRTT: 2 * time.Second,
	}
	wantServer := evidence.Stream{
		From: evidence.Upstream, To: evidence.Downstream, Packets: 5, Bytes: 140, Missing: 160, Resets: 1,
		FirstAt: time.Second, LastAt: 10 * time.Second, LastDataAt: 7 * time.Second,
		Next: 701, Acked: 151, HasNext: true, HasAck: true, MinTTL: 56, MaxTTL: 57, MaxPayload: 100,
		HandshakeRTT: time.Second, MinRTT: time.Second,
	}
	if diff := cmp.Diff(wantClient, client); diff != "" {
		t.Errorf("client: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff(wantServer, server); diff != "" {
		t.Errorf("server: -want +got:\n%s", diff)
	}
}

func TestEvidenceCoverage(t *testing.T) {
	for name, c := range map[string]struct {
		script []string
		want   string
	}{
		"whole":           {append(handshake[:3:3], "s R 501 0 0 57"), evidence.Watched},
		"never answered":  {[]string{"c S 100 0 0 64", "c S 100 0 0 64"}, evidence.Watched},
		"begins later":    {[]string{"c PA 101 501 5 64", "s R 501 0 0 57"}, "the capture begins within the connection"},
		"one direction":   {[]string{"c S 100 0 0 64", "c A 101 501 0 64"}, "the capture has one direction only"},
		"bytes missing":   {append(handshake[:3:3], "c PA 201 501 5 64"), "100 bytes of the connection are missing in the capture"},
		"answer not seen": {append(handshake[:3:3], "c PA 101 511 5 64"), "10 bytes of the connection are missing in the capture"},
	} {
		t.Run(name, func(t *testing.T) {
			ev := play(t, c.script...)[0].Evidence()
			want := evidence.Coverage{Sockets: notIn, Packets: c.want, Witness: notIn}
			if ev.Coverage != want {
				t.Errorf("got %+v, want %+v", ev.Coverage, want)
			}
		})
	}
}

// withOptions puts options, a multiple of four bytes, behind the TCP header.
func withOptions(b []byte, options string) []byte {
	o := unhex(options)
	out := append(append(append([]byte(nil), b[:40]...), o...), b[40:]...)
	binary.BigEndian.PutUint16(out[2:], uint16(len(out)))
	out[32] = byte(20+len(o)) / 4 << 4
	return out
}

func TestEvidenceHeader(t *testing.T) {
	const offers = `020405b4 01030307` // MSS 1460, window scale 7
	syn, answer := withOptions(segment(t, "c S 100 0 0 64"), offers), segment(t, "s SA 500 101 0 57")
	t.Run("window scale", func(t *testing.T) {
		for name, c := range map[string]struct {
			frames [][]byte
			want   int8
		}{
			"offered by both":  {[][]byte{syn, withOptions(answer, offers)}, 7},
			"offered by one":   {[][]byte{syn, answer}, 0},
			"one SYN not seen": {[][]byte{syn}, evidence.ScaleUnknown},
			"no SYN seen":      {nil, evidence.ScaleUnknown},
		} {
			t.Run(name, func(t *testing.T) {
				packets := packetsOf(playFrames(t, append(c.frames, segment(t, "c A 101 501 0 64"))...)[0].Evidence())
				last := packets[len(packets)-1]
				if last.Scale != c.want {
					t.Errorf("got %d, want %d", last.Scale, c.want)
				}
				if n, ok := last.WindowBytes(); ok != (c.want >= 0) || ok && n != 65535<<c.want {
					t.Errorf("got a window of %d, %v", n, ok)
				}
				if c.frames != nil && (packets[0].Scale != 0 || packets[0].WindowScale != 7 || packets[0].MSS != 1460) {
					t.Errorf("got %+v, want a SYN that is not scaled itself", packets[0])
				}
			})
		}
	})
	t.Run("segments", func(t *testing.T) {
		data := func(n int) []byte { return segment(t, fmt.Sprintf("c A 101 501 %d 64", n)) }
		for name, c := range map[string]struct {
			frames [][]byte
			want   uint16
		}{
			"none of data":       {[][]byte{data(0)}, 1},
			"as announced":       {[][]byte{withOptions(answer, offers), data(1460)}, 1},
			"merged":             {[][]byte{withOptions(answer, offers), data(4000)}, 3},
			"not announced":      {[][]byte{data(1460)}, 1},
			"not announced, big": {[][]byte{data(4000)}, 0},
		} {
			t.Run(name, func(t *testing.T) {
				packets := packetsOf(playFrames(t, c.frames...)[0].Evidence())
				if got := packets[len(packets)-1].Segments; got != c.want {
					t.Errorf("got %d, want %d", got, c.want)
				}
			})
		}
	})
	t.Run("what a reset says", func(t *testing.T) {
		says := func(payload string) []byte {
			b := segment(t, fmt.Sprintf("s R 501 0 %d 57", len(payload)))
			copy(b[40:], payload)
			return b
		}
		for name, c := range map[string]struct {
			frame []byte
			want  *evidence.ResetSays
		}{
			"nothing":    {says(""), nil},
			"no text":    {says("\x01\x02\x03"), nil},
			"text":       {says("Access Denied"), &evidence.ResetSays{Text: "Access Denied"}},
			"long text":  {says(strings.Repeat("x", 1000)), &evidence.ResetSays{Text: strings.Repeat("x", packet.LongestText)}},
			"diagnostic": {says("\x33\xaa\x00\x09\x00\x00\x00\x00"), &evidence.ResetSays{Diagnostic: true, Code: 9}},
			"multipath":  {withOptions(says(""), `1e048005`), &evidence.ResetSays{MPTCP: 5}},
		} {
			t.Run(name, func(t *testing.T) {
				if diff := cmp.Diff(c.want, packetsOf(playFrames(t, c.frame)[0].Evidence())[0].Reset); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		}
	})
	t.Run("cut within the options", func(t *testing.T) {
		b := withOptions(segment(t, "c S 100 0 0 64"), offers)
		var all []*Connection
		tracker := NewTracker(func(c *Connection) { all = append(all, c) })
		tracker.Add(&Frame{Number: 1, At: start, Link: linkRaw, Wire: len(b), Data: b[:44]})
		tracker.Flush()
		if p := packetsOf(all[0].Evidence())[0]; !p.Cut || p.MSS != 1460 || p.WindowScale != evidence.NoScale {
			t.Errorf("got %+v, want what came before the cut", p)
		}
	})
}

func TestEvidenceBaseline(t *testing.T) {
	all := play(t,
		"192.0.2.1:1000>198.51.100.2:443 S 100 0 0 64", "198.51.100.2:443>192.0.2.1:1000 SA 500 101 0 57",
		"192.0.2.1:1000>198.51.100.2:443 A 101 501 0 64", "192.0.2.1:1000>198.51.100.2:443 R 101 501 0 64",
		"192.0.2.1:1000>198.51.100.2:443 S 900 0 0 64", // the same ends: the connection before is over and known
		"198.51.100.2:443>192.0.2.1:1000 RA 0 901 0 64")
	if len(all) != 2 {
		t.Fatalf("got %d connections, want 2", len(all))
	}
	baselines := func(c *Connection) (got []evidence.Baseline) {
		for _, o := range c.Evidence().Observations {
			if b, ok := o.What.(evidence.Baseline); ok {
				got = append(got, b)
			}
		}
		return got
	}
	if got := baselines(all[0]); got != nil {
		t.Errorf("got %+v of the first connection, want none", got)
	}
	want := []evidence.Baseline{
		{Of: evidence.Downstream, TTL: 64, RTT: time.Second, Age: time.Second},
		{Of: evidence.Upstream, TTL: 57, RTT: time.Second, Age: 3 * time.Second},
	}
	if diff := cmp.Diff(want, baselines(all[1])); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestEvidenceICMP(t *testing.T) {
	syn := segment(t, "c S 100 0 0 64")
	reject := append(unhex(`45000038 00000000 40010000 0a000001 c0000201 030d0000 00000000`), syn[:28]...)
	ev := playFrames(t, syn, reject, segment(t, "c S 100 0 0 64"))[0].Evidence()
	want := evidence.Observation{At: time.Millisecond, What: evidence.ICMP{
		Type: 3, Code: 13, From: netip.MustParseAddr("10.0.0.1"), OnWire: true, About: evidence.Downstream, Seq: 100, TTL: 64, Frame: 2,
	}}
	same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, ev.Observations[1], same); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := evidence.SourceOf(ev.Observations[1].What); got != evidence.Packets {
		t.Errorf("got source %s, want %s", got, evidence.Packets)
	}
}

// TestEvidenceOfPublicCaptures holds what must be true of any capture's evidence.
func TestEvidenceOfPublicCaptures(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(publicCaptures, "*.pcap*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("the public captures are not here: nothing in ", publicCaptures)
	}
	for _, path := range files {
		for _, c := range connectionsOf(t, path) {
			for _, fault := range []string{evidenceFault(c), recordFault(c.Evidence())} {
				if fault != "" {
					t.Errorf("%s: %v to %v from frame %d: %s", filepath.Base(path), c.Client, c.Server, c.FirstFrame, fault)
				}
			}
		}
	}
}

// evidenceFault says what is wrong with the evidence of a connection; nothing is if it is empty.
func evidenceFault(c *Connection) string {
	ev := c.Evidence()
	var told, copies, streamed, resets int
	gaps := false
	frame := uint64(0)
	for i, o := range ev.Observations {
		if o.At < 0 || i > 0 && o.At < ev.Observations[i-1].At {
			return fmt.Sprintf("observation %d is out of order", i)
		}
		if evidence.SourceOf(o.What) != evidence.Packets {
			return fmt.Sprintf("observation %d is no packet's", i)
		}
		switch w := o.What.(type) {
		case evidence.Packet:
			told++
			if w.Copy {
				copies++
			}
			gaps = gaps || w.Sampled
			if w.From == w.To || w.From == evidence.NoLeg || w.To == evidence.NoLeg || w.Frame <= frame {
				return fmt.Sprintf("frame %d: from %v to %v behind frame %d", w.Frame, w.From, w.To, frame)
			}
			frame = w.Frame
		case evidence.Stream:
			if i >= len(ev.Observations)-2 {
				streamed += int(w.Packets)
				resets += int(w.Resets)
			}
		}
	}
	packets := c.Packets[Client] + c.Packets[Server]
	if !gaps && told != packets {
		return fmt.Sprintf("%d packets told without a gap, want %d", told, packets)
	}
	if !gaps && streamed != packets-copies {
		return fmt.Sprintf("%d packets in the streams, want %d and %d copies", streamed, packets-copies, copies)
	}
	if (resets > 0) != (c.Reset != nil) || c.Reset != nil && resets > c.Reset.FromClient+c.Reset.FromServer {
		return fmt.Sprintf("%d resets in the streams, want those of %+v", resets, c.Reset)
	}
	return ""
}
