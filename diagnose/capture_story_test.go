package diagnose_test

import (
	"net/netip"
	"time"

	"whyreset/diagnose/evidence"
)

// capture begins the story of a connection as a capture at the client shows it: the server is Linux, 20 ms away, and counts its packets
// on from a number of its own.
func capture() *story {
	s := &story{capture: true}
	s.ev.Client, s.ev.Server = netip.MustParseAddrPort("192.0.2.7:40000"), netip.MustParseAddrPort("198.51.100.5:5432")
	s.ev.Coverage = evidence.Coverage{Sockets: "not in a packet capture", Packets: evidence.Watched, Witness: "not in a packet capture"}
	s.next, s.id = [3]uint32{0, 1000, 5000}, [3]uint16{0, 700, 0}
	return s
}

// opened is a capture with its handshake.
func opened() *story {
	return capture().packet(0, down, evidence.SYN, 0).packet(20*ms, up, evidence.SYN|evidence.ACK, 0).packet(20*ms+100*time.Microsecond, down, evidence.ACK, 0)
}

// asked is one with a question and its answer.
func asked() *story {
	return opened().packet(30*ms, down, evidence.PSH|evidence.ACK, 100).packet(50*ms, up, evidence.ACK, 0).
		packet(60*ms, up, evidence.PSH|evidence.ACK, 2000).packet(60*ms+100*time.Microsecond, down, evidence.ACK, 0)
}

// packet adds a packet as the end's stack would send it next; change makes something else of it.
func (s *story) packet(at time.Duration, from evidence.Leg, flags evidence.TCPFlags, payload uint32, change ...func(*evidence.Packet)) *story {
	to := from.Other()
	p := evidence.Packet{From: from, To: to, Flags: flags, Seq: s.next[from], Payload: payload, Window: 502, Scale: 7,
		TTL: map[evidence.Leg]uint8{down: 64, up: 57}[from], DF: true, ID: s.id[from], WindowScale: evidence.NoScale,
		HasTimestamp: true, TSVal: uint32(at/ms) + uint32(from)<<16, TSEcr: s.stamp[to], Segments: 1, Frame: uint64(len(s.ev.Observations) + 1)}
	if flags&evidence.ACK != 0 {
		p.Ack = s.next[to]
	}
	if flags&evidence.SYN != 0 {
		p.Window, p.Scale, p.MSS, p.WindowScale = 64240, 0, 1460, 7
		if from == up {
			p.ID, s.id[up] = 0, 9000-1
		}
	}
	s.id[from]++
	s.next[from] = p.End()
	s.stamp[from] = p.TSVal
	for _, c := range change {
		c(&p)
	}
	s.accountOf(at, &p)
	return s.add(at, evidence.NoLeg, p)
}

// bare makes of a packet the reset that answers for a connection which is not there.
func bare(p *evidence.Packet) {
	p.Flags, p.Ack, p.Window, p.ID, p.HasTimestamp, p.TSVal, p.TSEcr = evidence.RST, 0, 0, 0, false, 0, 0
}

func ahead(n uint32) func(*evidence.Packet) { return func(p *evidence.Packet) { p.Seq += n } }

func forged(p *evidence.Packet) { p.DF, p.ID, p.TTL = false, 31337, 60 }

// answered is a bare reset that answers the last packet of the other end.
func (s *story) answered(at time.Duration, from evidence.Leg) *story {
	return s.packet(at, from, evidence.RST, 0, bare)
}

// kernel adds what the kernel told of a reset of the upstream's.
func (s *story) kernel(at time.Duration, reason string, state uint8) *story {
	s.ev.Coverage.Witness = evidence.Watched
	return s.add(at, up, evidence.Kernel{Sent: true, From: up, Reason: reason, State: state, Process: "postgres", PID: 4711, Foreign: true})
}

// accountOf enters a packet in its direction's account.
func (s *story) accountOf(at time.Duration, p *evidence.Packet) {
	a := &s.streams[p.From]
	if a.Packets == 0 {
		a.From, a.To, a.FirstAt, a.MinTTL, a.MaxTTL = p.From, p.To, at, p.TTL, p.TTL
	}
	a.Packets++
	a.LastAt = at
	switch {
	case p.Flags&evidence.RST != 0:
		a.Resets++
		return
	case p.Flags&evidence.FINFlag != 0:
		a.FIN, a.FINAt = true, at
	}
	if p.Payload > 0 {
		a.Bytes, a.LastDataAt = a.Bytes+uint64(p.Payload), at
	}
	if !p.Probe {
		a.Next, a.HasNext = p.End(), true
	}
	if p.Flags&evidence.ACK != 0 {
		a.Acked, a.HasAck = p.Ack, true
	}
}
