package replay

import (
	"net/netip"
	"slices"
	"time"

	"whyreset/diagnose/header"
)

// A Tracker sorts frames into connections. As long as they are few it keeps them all, so that a packet that comes an hour late still finds
// its own; when they become many, those that are over are told and forgotten, and memory follows the number that live.
type Tracker struct {
	Frames [kinds]int // frames by Kind

	ended func(*Connection)
	flows map[ends]*flow
	room  int       // connections in memory that are no reason to look for those that are over
	now   time.Time // latest time of a frame

	baselines map[netip.Addr]baseline
}

// few connections are kept without a look at their age: some 20 MB, 50 MB if all were long.
const few = 10_000

// How long a connection is kept without a packet when there are many. What betrays a forger comes within a second of its reset. A SYN is
// sent again after at most TCP_RTO_MAX, 2 minutes. One that is open may be silent for hours: keepalive begins after two.
const (
	keepOver       = 5 * time.Second
	keepUnanswered = 3 * time.Minute
	keepOpen       = 24 * time.Hour
)

// ends are the two ends of a connection, the lower address first.
type ends struct{ a, b netip.AddrPort }

func endsOf(a, b netip.AddrPort) ends {
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	return ends{a, b}
}

// NewTracker makes a tracker that hands each connection to ended when it is over. Those that end together come in the order of their
// first frames.
func NewTracker(ended func(*Connection)) *Tracker {
	return &Tracker{ended: ended, flows: make(map[ends]*flow), room: few, baselines: make(map[netip.Addr]baseline)}
}

// Live is the number of connections in memory.
func (t *Tracker) Live() int { return len(t.flows) }

// Add takes in the next frame of a capture.
func (t *Tracker) Add(f *Frame) {
	p := Decode(f)
	t.Frames[p.Kind]++
	if p.At.After(t.now) {
		t.now = p.At
	}
	switch p.Kind {
	case Segment:
		t.segment(&p)
	case ICMPError:
		t.icmpError(&p)
	}
}

func (t *Tracker) segment(p *Packet) {
	key := endsOf(p.src(), p.dst())
	f := t.flows[key]
	if f != nil && f.startsAnew(p) {
		t.end(f)
		f = nil
	}
	if f == nil {
		f = newFlow(p)
		t.recall(f)
		f.touched = t.now
		t.flows[key] = f
		t.makeRoom()
	}
	f.add(p)
	f.touched = t.now
}

// icmpError gives an error to the connection whose packet it quotes.
func (t *Tracker) icmpError(p *Packet) {
	e := &p.ICMP
	if e.Quoted.Protocol != header.ProtocolTCP || e.QuotedTCP.Known < 4 {
		return
	}
	src := netip.AddrPortFrom(e.Quoted.Src, e.QuotedTCP.SrcPort)
	f := t.flows[endsOf(src, netip.AddrPortFrom(e.Quoted.Dst, e.QuotedTCP.DstPort))]
	if f == nil || len(f.icmp) == maxICMP {
		return
	}
	f.icmp = append(f.icmp, icmpAbout{half: f.sender(src), ICMP: ICMP{
		Frame: p.Frame, At: p.At, From: p.IP.Src, Type: e.Type, Code: e.Code, IPv6: p.IP.Version == 6,
		Seq: e.QuotedTCP.Seq, MTU: e.MTU, TTL: p.IP.TTL,
	}})
}

// makeRoom forgets what is over when there are many connections, and waits until there are twice as many as were left: the cost for a
// connection stays the same however many there are.
func (t *Tracker) makeRoom() {
	if len(t.flows) <= t.room {
		return
	}
	t.forget(func(f *flow) bool { return t.now.Sub(f.touched) > f.keep() })
	t.room = max(few, 2*len(t.flows))
}

// forget tells the connections that are over, in the order of their first frames.
func (t *Tracker) forget(over func(*flow) bool) {
	var gone []*flow
	for key, f := range t.flows {
		if over(f) {
			gone = append(gone, f)
			delete(t.flows, key)
		}
	}
	slices.SortFunc(gone, func(a, b *flow) int { return a.firstFrame - b.firstFrame })
	for _, f := range gone {
		t.end(f)
	}
}

func (t *Tracker) end(f *flow) {
	t.remember(f)
	t.ended(f.connection())
}

// Flush tells the connections that are left when the capture is at its end.
func (t *Tracker) Flush() {
	t.forget(func(*flow) bool { return true })
}
