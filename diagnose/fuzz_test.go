package diagnose_test

import (
	"net/netip"
	"slices"
	"time"

	"whyreset/diagnose/evidence"
)

// A fuzzer works on bytes: each observation is a few of them, so that every mutation is evidence again.

const perObservation = 20

func encode(ev *evidence.Evidence) []byte {
	var out []byte
	for _, o := range ev.Observations {
		at := uint32(o.At / time.Millisecond)
		b := [perObservation]byte{byte(at >> 16), byte(at >> 8), byte(at), byte(o.Leg)}
		switch w := o.What.(type) {
		case evidence.Socket:
			b[5], b[6], b[7] = byte(w.Call), byte(w.Saw), byte(w.Errno)
		case evidence.Action:
			b[4], b[5] = 1, byte(w)
		case evidence.Transfer:
			b[4], b[5], b[6], b[7], b[8] = 2, byte(min(w.In, 255)), byte(min(w.Out, 255)), byte(w.LastIn/(100*time.Millisecond)), byte(w.LastOut/(100*time.Millisecond))
		case evidence.Snapshot:
			b[4], b[5], b[6], b[7], b[8] = 3, w.State, byte(w.TotalRetrans), byte(min(w.Outstanding, 255)), byte(min(w.SndWnd>>8, 255))
		case evidence.ICMP:
			b[4], b[5], b[6], b[7] = 4, w.Type, w.Code, bit(w.OnWire)<<1|bit(w.IPv6)
		case evidence.Packet:
			b[4], b[5], b[6], b[7], b[8], b[9] = 5, byte(w.From)|byte(w.To)<<2, byte(w.Flags), w.TTL, byte(w.Seq), byte(w.Ack)
			b[10], b[11], b[12], b[13] = byte(min(w.Payload, 255)), byte(w.Window), byte(w.ID), w.TOS
			b[14] = bit(w.IPv6) | bit(w.DF)<<1 | bit(w.HasTimestamp)<<2 | bit(w.Sampled)<<3 | bit(w.Repeat)<<4 | bit(w.Probe)<<5 | bit(w.Copy)<<6 | bit(w.Cut)<<7
			b[15], b[16], b[17], b[18], b[19] = byte(w.FlowLabel), byte(w.TSVal), byte(w.TSEcr), byte(w.Scale), byte(w.Segments)
		case evidence.Stream:
			b[4], b[5], b[6], b[7], b[8] = 6, byte(w.From)|byte(w.To)<<2, byte(min(w.Packets, 255)), byte(min(w.Bytes, 255)), byte(w.Resets)
			b[9], b[10], b[11], b[12], b[13] = byte(w.Next), byte(w.Acked), w.MinTTL, w.MaxTTL, bit(w.FIN)|bit(w.HasNext)<<1|bit(w.HasAck)<<2
			b[14], b[15] = byte(w.HandshakeRTT/time.Millisecond), byte(w.MinRTT/time.Millisecond)
		case evidence.Baseline:
			b[4], b[5], b[6], b[7], b[8] = 7, byte(w.Of), w.TTL, byte(w.RTT/time.Millisecond), byte(w.Age/time.Minute)
		case evidence.Kernel:
			b[4], b[5], b[6], b[7] = 8, bit(w.Sent)|bit(w.Foreign)<<1|bit(w.Listener)<<2, byte(w.From)|byte(w.To)<<2, w.State
			b[8] = byte(max(0, slices.Index(reasons, w.Reason)))
		}
		out = append(out, b[:]...)
	}
	return out
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

var reasons = []string{"", evidence.ReasonNoSocket, evidence.ReasonFlags, evidence.ReasonInvalidSYN, evidence.ReasonAbortOnData, evidence.ReasonTimeWait,
	evidence.ReasonAbortOnClose, evidence.ReasonAbortOnLinger, evidence.ReasonAbortOnMemory, evidence.ReasonState, evidence.ReasonKeepaliveTimeout}

func decode(data []byte) *evidence.Evidence {
	ev := &evidence.Evidence{Client: netip.MustParseAddrPort("192.0.2.7:4000"), Server: netip.MustParseAddrPort("198.51.100.5:80")}
	if len(data)%3 == 2 {
		ev.Coverage = evidence.Coverage{Packets: evidence.Watched, Witness: evidence.Watched}
	}
	if len(data)%2 == 1 {
		ev.Client, ev.Server = netip.MustParseAddrPort("127.0.0.1:4000"), netip.AddrPort{}
	}
	at := time.Duration(0)
	for ; len(data) >= perObservation; data = data[perObservation:] {
		b := data[:perObservation]
		at = max(at, time.Duration(uint32(b[0])<<16|uint32(b[1])<<8|uint32(b[2]))*time.Millisecond) // in order
		o := evidence.Observation{At: at, Leg: evidence.Leg(b[3] % 3)}
		switch b[4] % 9 {
		case 0:
			o.What = evidence.Socket{Call: evidence.Call(b[5] % 6), Saw: evidence.Saw(b[6] % 5), Errno: evidence.Errno(b[7])}
		case 1:
			o.What = evidence.Action(b[5] % 11)
		case 2:
			o.What = evidence.Transfer{In: uint64(b[5]), Out: uint64(b[6]), LastIn: time.Duration(b[7]) * 100 * time.Millisecond, LastOut: time.Duration(b[8]) * 100 * time.Millisecond}
		case 3:
			o.What = evidence.Snapshot{State: b[5], TotalRetrans: uint32(b[6]), Outstanding: uint32(b[7]), SndWnd: uint32(b[8]) << 8, MinRTT: time.Duration(b[9]) * time.Millisecond}
		case 4:
			o.What = evidence.ICMP{Type: b[5], Code: b[6], IPv6: b[7]%2 == 1, OnWire: b[7]&2 != 0, About: evidence.Leg(b[9] % 3), Seq: uint32(b[10]),
				From: netip.AddrFrom4([4]byte{192, 0, 2, b[8]})}
		case 5:
			o.What = evidence.Packet{From: evidence.Leg(b[5] & 3 % 3), To: evidence.Leg(b[5] >> 2 & 3 % 3), Flags: evidence.TCPFlags(b[6]), TTL: b[7], Seq: uint32(b[8]), Ack: uint32(b[9]),
				Payload: uint32(b[10]), Window: uint16(b[11]), ID: uint16(b[12]), TOS: b[13], IPv6: b[14]&1 != 0, DF: b[14]&2 != 0, HasTimestamp: b[14]&4 != 0, Sampled: b[14]&8 != 0,
				Repeat: b[14]&16 != 0, Probe: b[14]&32 != 0, Copy: b[14]&64 != 0, Cut: b[14]&128 != 0,
				FlowLabel: uint32(b[15]), TSVal: uint32(b[16]), TSEcr: uint32(b[17]), Scale: int8(b[18]) % 15, WindowScale: evidence.NoScale, Segments: uint16(b[19])}
		case 6:
			o.What = evidence.Stream{From: evidence.Leg(b[5] & 3 % 3), To: evidence.Leg(b[5] >> 2 & 3 % 3), Packets: uint64(b[6]), Bytes: uint64(b[7]), Resets: uint32(b[8]), Next: uint32(b[9]), Acked: uint32(b[10]),
				MinTTL: b[11], MaxTTL: b[12], FIN: b[13]&1 != 0, HasNext: b[13]&2 != 0, HasAck: b[13]&4 != 0, HandshakeRTT: time.Duration(b[14]) * time.Millisecond,
				MinRTT: time.Duration(b[15]) * time.Millisecond, FirstAt: at, LastAt: at, LastDataAt: at, FINAt: at}
		case 7:
			o.What = evidence.Baseline{Of: evidence.Leg(b[5] % 3), TTL: b[6], RTT: time.Duration(b[7]) * time.Millisecond, Age: time.Duration(b[8]) * time.Minute}
		case 8:
			o.What = evidence.Kernel{Sent: b[5]&1 != 0, Foreign: b[5]&2 != 0, Listener: b[5]&4 != 0, From: evidence.Leg(b[6] & 3 % 3), To: evidence.Leg(b[6] >> 2 & 3 % 3), State: b[7],
				Reason: reasons[int(b[8])%len(reasons)]}
		}
		ev.Observations = append(ev.Observations, o)
	}
	return ev
}
