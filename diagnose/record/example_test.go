package record

import (
	"net/netip"
	"time"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/evidence"
)

var (
	berlin  = time.FixedZone("", 3600)
	example = time.Date(2026, 11, 24, 10, 30, 0, 250_000_000, berlin)
	client  = netip.MustParseAddrPort("10.0.0.7:51234")
	db      = netip.MustParseAddrPort("10.0.0.5:5432")
	ownDown = netip.MustParseAddrPort("10.0.0.1:15432")
	ownUp   = netip.MustParseAddrPort("10.0.0.1:40312")
)

// anExample is a connection with something in every field.
func anExample() *Connection {
	const ms = time.Millisecond
	return &Connection{
		Time: example.Add(13 * time.Second), By: Identity{Version: "1.2.3", Host: "edge-1"},
		ID: "01JDF5Z0KT8V5Q2M7C9XGZ4R3E", Sequence: 4711, Listener: "db", Target: "db:5432",
		Start: example, Duration: 12004 * ms, Destination: db,
		Downstream: Leg{Local: ownDown, Remote: client}, Upstream: Leg{Local: ownUp, Remote: db},
		Evidence: &evidence.Evidence{
			Client: client, OwnDown: ownDown, Server: db, OwnUp: ownUp,
			Observations: []evidence.Observation{
				{At: 0, Leg: evidence.Downstream, What: evidence.Socket{Call: evidence.Accept, Saw: evidence.Connected}},
				{At: 1*ms + 250_001, Leg: evidence.Upstream, What: evidence.Socket{Call: evidence.Connect, Saw: evidence.Connected}},
				{At: 2 * ms, Leg: evidence.Downstream, What: evidence.Socket{Call: evidence.Recv, Saw: evidence.Data}},
				{At: 12001 * ms, Leg: evidence.Downstream, What: evidence.Transfer{In: 61_440, Out: 19, LastIn: 11 * ms, LastOut: 4 * ms}},
				{At: 12001 * ms, Leg: evidence.Upstream, What: evidence.Transfer{In: 19, Out: 61_440, LastIn: 3 * ms, LastOut: 12 * ms}},
				{At: 12001 * ms, Leg: evidence.Upstream, What: evidence.Socket{Call: evidence.Poll, Saw: evidence.FIN}},
				{At: 12004 * ms, Leg: evidence.Upstream, What: evidence.Socket{Call: evidence.Send, Saw: evidence.Error, Errno: evidence.EPIPE}},
				{At: 12004 * ms, Leg: evidence.Downstream, What: evidence.Snapshot{State: 1, RTO: 201 * ms, RTT: 133 * time.Microsecond,
					RTTVar: 20 * time.Microsecond, SndMSS: 1448, SndWnd: 64256, BytesAcked: 20, BytesReceived: 61_440, SegsIn: 50, SegsOut: 49}},
				{At: 12004 * ms, Leg: evidence.Upstream, What: evidence.Snapshot{State: 7, RTO: 204 * ms, RTT: 1200 * time.Microsecond,
					TotalRetrans: 2, SndMSS: 1448, BytesAcked: 1, BytesReceived: 19, BytesSent: 61_440, Outstanding: 61_440}},
				{At: 12004 * ms, Leg: evidence.Downstream, What: evidence.PassedReset},
			},
			Coverage: evidence.Coverage{Sockets: evidence.Watched, Packets: "no CAP_NET_RAW", Witness: "not root"},
		},
		Verdict: diagnose.Verdict{
			Action: diagnose.Reset, Side: diagnose.SideUpstream, Origin: cause.Application, Cause: "app_close_unread",
			Confidence: cause.Likely, Impact: diagnose.RequestUnanswered, Phase: cause.HalfClosed, Idle: 11992 * ms,
			Sentence: "upstream 10.0.0.5:5432 closed with 61 kB of the request unread",
			Advice:   []string{"Let the server read the rest before it closes", "Look for a crash at that moment"},
			Timers:   []string{"10 s is the default of a server (its_timeout)", "12 s is the default of another (value not verified)"},
			For:      []cause.Cite{{Source: evidence.Sockets, Says: "a FIN, then a reset 3 ms later: EPIPE"}},
			Against:  []cause.Cite{{Source: evidence.Self, Says: "we had sent more after its FIN"}},
			Missing:  []string{"the reset's own header (evidence.packets)"}, Alternatives: []string{"app_abort"},
		},
	}
}

// harmless is a connection with as little as there can be.
func harmless() *Connection {
	return &Connection{
		ID: "01JDF5Z0KT8V5Q2M7C9XGZ4R3F", Sequence: 1, Listener: "db", Start: example, Duration: 1,
		Downstream: Leg{Local: ownDown, Remote: client},
		Evidence: &evidence.Evidence{Client: client, OwnDown: ownDown, Observations: []evidence.Observation{},
			Coverage: evidence.Coverage{Sockets: evidence.Watched}},
		Verdict: diagnose.Verdict{Action: diagnose.Closed, Side: diagnose.SideDownstream, Origin: cause.Application, Cause: "probe",
			Confidence: cause.Possible, Impact: diagnose.NoImpact, Phase: cause.NoData, Sentence: "client 10.0.0.7:51234 left"},
	}
}

// refused has an ICMP error, IPv6, and an upstream that was never reached.
func refused() *Connection {
	client6, down6 := netip.MustParseAddrPort("[2001:db8::7]:51234"), netip.MustParseAddrPort("[2001:db8::1]:80")
	web := netip.MustParseAddrPort("[2001:db8:1::5]:80")
	return &Connection{
		ID: "01JDF5Z0KT8V5Q2M7C9XGZ4R3G", Sequence: 2, Listener: "web", Target: "web:80", Start: example, Duration: time.Millisecond,
		Destination: web, Downstream: Leg{Local: down6, Remote: client6}, Upstream: Leg{Remote: web},
		Evidence: &evidence.Evidence{Client: client6, OwnDown: down6, Server: web, Observations: []evidence.Observation{
			{At: 0, Leg: evidence.Downstream, What: evidence.Socket{Call: evidence.Accept, Saw: evidence.Connected}},
			{At: 900_000, Leg: evidence.Upstream, What: evidence.ICMP{Type: 1, Code: 1, IPv6: true, From: netip.MustParseAddr("2001:db8:1::fe"), Errno: evidence.EACCES}},
			{At: 900_000, Leg: evidence.Upstream, What: evidence.Socket{Call: evidence.Connect, Saw: evidence.Error, Errno: evidence.EACCES}},
		}, Coverage: evidence.Coverage{Sockets: evidence.Watched, Packets: "off", Witness: "off"}},
		Verdict: diagnose.Verdict{Action: diagnose.Refused, Side: diagnose.SideUpstream, Origin: cause.Path, Cause: "icmp_reject",
			Confidence: cause.Conclusive, Impact: diagnose.RequestUnanswered, Phase: cause.PhaseConnect, Sentence: "a firewall said no"},
	}
}

// captured is from a capture file, and had been explained before.
func captured() *Connection {
	ttl, seq := -7, int32(-60)
	return &Connection{
		By: Identity{Version: "1.2.3"}, ID: "01JDF5Z0KT8V5Q2M7C9XGZ4R3H", Sequence: 3, File: "edge.pcap", Start: example, Duration: time.Second,
		Destination: db, Downstream: Leg{Remote: client}, Upstream: Leg{Remote: db},
		Evidence: &evidence.Evidence{Client: client, Server: db, Observations: onTheWire(),
			Coverage: evidence.Coverage{Sockets: "not in a packet capture", Packets: evidence.Watched, Witness: "not in a packet capture"}},
		Verdict: diagnose.Verdict{Action: diagnose.Reset, Side: diagnose.SideUpstream, Origin: cause.Path, Cause: "injected_reset",
			Confidence: cause.Likely, Impact: diagnose.AnswerCut, Phase: cause.Responding, Sentence: "somebody between made the reset"},
		Earlier: &Earlier{Cause: "unknown", Confidence: cause.Possible, Version: "1.0.0"},
		Capture: &Capture{Resetter: "server", Frame: 125, Flags: "RA", FromServer: 2, Stage: "post-data", TTLDelta: &ttl, SeqDelta: &seq},
	}
}

// onTheWire is what a capture shows of a connection that a box between ended.
func onTheWire() []evidence.Observation {
	const ms = time.Millisecond
	down, up := evidence.Downstream, evidence.Upstream
	return []evidence.Observation{
		{What: evidence.Baseline{Of: up, TTL: 57, RTT: 9 * ms, Age: 3 * time.Second}},
		{What: evidence.Packet{From: down, To: up, Flags: evidence.SYN, Seq: 1000, Window: 64240, TTL: 64, DF: true, ID: 7, HasTimestamp: true, TSVal: 71,
			MSS: 1460, WindowScale: 7, SACKAllowed: true, Segments: 1, Frame: 120}},
		{At: 9 * ms, What: evidence.Packet{From: up, To: down, Flags: evidence.SYN | evidence.ACK, Seq: 5000, Ack: 1001, Window: 65535, TTL: 57, DF: true,
			MSS: 1460, WindowScale: evidence.NoScale, Segments: 1, Frame: 121}},
		{At: 10 * ms, What: evidence.Packet{From: down, To: up, Flags: evidence.ACK | evidence.PSH, Seq: 1001, Ack: 5001, Payload: 60, Window: 64240, TTL: 64,
			DF: true, ID: 8, WindowScale: evidence.NoScale, Segments: 1, Sampled: true, Frame: 123}},
		{At: 11 * ms, What: evidence.ICMP{Type: 3, Code: 13, From: netip.MustParseAddr("10.0.0.254"), OnWire: true, About: down, Seq: 1001, TTL: 63, Frame: 124}},
		{At: 12 * ms, What: evidence.Packet{From: up, To: down, Flags: evidence.RST | evidence.ACK, Seq: 4941, Ack: 1061, TTL: 50, WindowScale: evidence.NoScale,
			Segments: 1, Frame: 125, Reset: &evidence.ResetSays{Text: "go away"}}},
		{At: time.Second, What: evidence.Stream{From: down, To: up, Packets: 3, Bytes: 60, LastAt: 10 * ms, LastDataAt: 10 * ms, Next: 1061, HasNext: true,
			Acked: 5001, HasAck: true, MinTTL: 64, MaxTTL: 64, HandshakeRTT: ms, MaxPayload: 60}},
		{At: time.Second, What: evidence.Stream{From: up, To: down, Packets: 2, Resets: 1, FirstAt: 9 * ms, LastAt: 12 * ms, Next: 5001, HasNext: true,
			Acked: 1061, HasAck: true, MinTTL: 57, MaxTTL: 57, HandshakeRTT: 9 * ms}},
	}
}

// witnessed has been seen in every way.
func witnessed() *Connection {
	c := anExample()
	last := len(c.Evidence.Observations) - 1
	at := c.Evidence.Observations[last].At
	c.Evidence.Observations = append(c.Evidence.Observations[:last:last],
		evidence.Observation{At: at, Leg: evidence.Upstream, What: evidence.Packet{From: evidence.Upstream, Flags: evidence.RST, Seq: 20, TTL: 64, DF: true,
			Scale: 7, WindowScale: evidence.NoScale, Segments: 1}},
		evidence.Observation{At: at, Leg: evidence.Upstream, What: evidence.Kernel{Sent: true, From: evidence.Upstream, Reason: evidence.ReasonAbortOnClose,
			State: 1, Process: "postgres: app", PID: 4242, Foreign: true}},
		c.Evidence.Observations[last])
	c.Evidence.Coverage = evidence.Coverage{Sockets: evidence.Watched, Packets: evidence.Watched, Witness: evidence.Watched}
	return c
}

func notices() []Notice {
	by := Identity{Version: "1.2.3", Host: "edge-1"}
	return []Notice{
		{Time: example, By: by, Level: Info, Code: Started, Message: "listening on 127.0.0.1:15432"},
		{Time: example, By: by, Level: Error, Code: AcceptFailed, Message: "cannot accept on 127.0.0.1:15432", Error: "too many open files", Listener: "db", Count: 12},
		{Time: example, By: by, Level: Error, Code: RecordsDropped, Message: "3 records were dropped", Count: 3, Dropped: &Dropped{Harmful: 1, Ordinary: 2}},
		{Time: example, By: by, Level: Warn, Code: Stopped, Message: "stopped"},
	}
}
