package diagnose_test

import (
	"net/netip"
	"time"

	"whyreset/diagnose/evidence"
)

// A fuzzer works on bytes: each observation is a few of them, so that every mutation is evidence again.

const perObservation = 10

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
			b[4], b[5], b[6] = 4, w.Type, w.Code
		}
		out = append(out, b[:]...)
	}
	return out
}

func decode(data []byte) *evidence.Evidence {
	ev := &evidence.Evidence{Client: netip.MustParseAddrPort("192.0.2.7:4000"), Server: netip.MustParseAddrPort("198.51.100.5:80")}
	if len(data)%2 == 1 {
		ev.Client, ev.Server = netip.MustParseAddrPort("127.0.0.1:4000"), netip.AddrPort{}
	}
	at := time.Duration(0)
	for ; len(data) >= perObservation; data = data[perObservation:] {
		b := data[:perObservation]
		at = max(at, time.Duration(uint32(b[0])<<16|uint32(b[1])<<8|uint32(b[2]))*time.Millisecond) // in order
		o := evidence.Observation{At: at, Leg: evidence.Leg(b[3] % 3)}
		switch b[4] % 5 {
		case 0:
			o.What = evidence.Socket{Call: evidence.Call(b[5] % 6), Saw: evidence.Saw(b[6] % 5), Errno: evidence.Errno(b[7])}
		case 1:
			o.What = evidence.Action(b[5] % 11)
		case 2:
			o.What = evidence.Transfer{In: uint64(b[5]), Out: uint64(b[6]), LastIn: time.Duration(b[7]) * 100 * time.Millisecond, LastOut: time.Duration(b[8]) * 100 * time.Millisecond}
		case 3:
			o.What = evidence.Snapshot{State: b[5], TotalRetrans: uint32(b[6]), Outstanding: uint32(b[7]), SndWnd: uint32(b[8]) << 8, MinRTT: time.Duration(b[9]) * time.Millisecond}
		case 4:
			o.What = evidence.ICMP{Type: b[5], Code: b[6], IPv6: b[7]%2 == 1, From: netip.AddrFrom4([4]byte{192, 0, 2, b[8]})}
		}
		ev.Observations = append(ev.Observations, o)
	}
	return ev
}
