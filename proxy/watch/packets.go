package watch

import (
	"net/netip"
	"sync"
	"time"

	"whyreset/diagnose/header"
	"whyreset/diagnose/packet"
)

// Packets watches the headers of packets with an AF_PACKET socket. It needs CAP_NET_RAW when it is opened, and sees the network
// namespace that it is opened in.
//
// The kernel puts packets that may concern us into a ring and wakes nobody: the ring is read fifty times a second, and whenever a
// connection's packets are asked for. (Waking a goroutine for each SYN and FIN costs 40 % of a short connection.) Who a packet belongs
// to is settled by its four-tuple and direction, from packets alone.
type Packets struct {
	start time.Time // the watch's clock counts from here
	ring  *ring

	mu       sync.Mutex
	table    table
	concern  concern
	lost     uint64        // packets for which the ring had no room
	lostAt   time.Duration // when that was last found
	pace     pace
	over     string // why nothing is watched any more; empty: it is
	running  sync.WaitGroup
	stopping chan struct{}
}

// Options say what concerns us.
type Options struct {
	Listening   []netip.AddrPort // our listeners; a port is enough
	Transparent bool             // clients choose whom they are connected to, see Port
	Frames      int              // room of the ring, in packets; zero: 32768, or as many as there is memory for
}

// gather is the pause between two looks into the ring.
const gather = 20 * time.Millisecond

// OpenPackets starts to watch. The error is EPERM without CAP_NET_RAW.
func OpenPackets(o Options) (*Packets, error) {
	w := &Packets{start: time.Now(), table: newTable(), pace: pace{most: mostLooked}, stopping: make(chan struct{})}
	for _, at := range o.Listening {
		e := endpoint{port: at.Port(), listening: true}
		w.concern.want(e)
		w.concern.know(e)
	}
	w.concern.transparent = o.Transparent
	r, err := openRing(w.concern.wanted().filter(), o.Frames)
	if err != nil {
		return nil, err
	}
	w.ring = r
	w.running.Go(w.read)
	return w, nil
}

// Upstream says that connections to that address are, or will be, ours. Telling it before the first one lets its first packets be
// seen. It may be told often.
func (w *Packets) Upstream(to netip.AddrPort) {
	w.extend(endpoint{to.Addr().Unmap().WithZone(""), to.Port(), false})
}

// Port says the same of all connections to that port. It neither blocks nor allocates for a port that is known.
func (w *Packets) Port(to uint16) {
	if !w.concern.knows(to) {
		w.extend(endpoint{port: to})
	}
}

func (w *Packets) extend(e endpoint) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over != "" || w.concern.has(e) {
		return
	}
	if !w.concern.many { // else all TCP passes
		w.concern.want(e)
		if err := w.ring.setFilter(w.concern.wanted().filter()); err != nil {
			w.over = "the filter could not be changed: " + err.Error()
			return
		}
		w.drain() // what is there began before the endpoint was known
	}
	w.concern.know(e)
}

// Active is true: it was opened.
func (w *Packets) Active() bool { return true }

// Close ends the watch.
func (w *Packets) Close() {
	w.mu.Lock()
	closed := w.over == ended
	w.over = ended
	w.mu.Unlock()
	if closed {
		return
	}
	close(w.stopping)
	w.ring.wake()
	w.running.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ring.close()
}

const ended = "the watch was ended"

// read empties the ring until the watch is closed. Between packets that follow each other it sleeps, so that none of them wakes it.
func (w *Packets) read() {
	for {
		if err := w.ring.wait(); err != nil {
			w.mu.Lock()
			if w.over == "" {
				w.over = "the watch failed: " + err.Error()
			}
			w.mu.Unlock()
			return
		}
		for some := true; some; {
			select {
			case <-w.stopping:
				return
			case <-time.After(gather):
			}
			w.mu.Lock()
			w.drain()
			some = w.pace.looked > 0 || w.concern.sample
			w.keepPace()
			w.mu.Unlock()
		}
	}
}

// drain takes in what the ring holds.
func (w *Packets) drain() {
	if w.over != "" {
		return
	}
	offset := max(w.offset(), w.offset())
	for f := w.ring.next(); f.data != nil; f = w.ring.next() {
		w.take(&f, time.Duration(f.wall-offset))
		w.ring.release()
		w.pace.looked++
	}
	if lost := w.ring.lost(); lost > 0 {
		w.lost += lost
		w.lostAt = time.Since(w.start)
	}
}

// offset is what the wall clock, which frames bear, is ahead of the watch's. It may be set, but hardly between two looks. Of two
// readings the greater one is right: between the two clocks that time.Now reads this thread may be kept waiting.
func (w *Packets) offset() int64 {
	now := time.Now()
	return now.UnixNano() - int64(now.Sub(w.start))
}

// frame is a packet as the ring holds it.
type frame struct {
	data     []byte // from the IP header on
	wire     int    // length before it was cut
	wall     int64  // ns
	device   int32
	outgoing bool
	loopback bool
}

// take gives the packet to whom it concerns.
func (w *Packets) take(f *frame, at time.Duration) {
	ip, state := header.ParseIP(f.data, f.wire)
	if state != header.Whole {
		return
	}
	switch ip.Protocol {
	case header.ProtocolICMP, header.ProtocolICMPv6:
		w.icmp(&ip, f, at)
	case header.ProtocolTCP:
		tcp, state := header.ParseTCP(ip.Payload, ip.PayloadLength)
		if state == header.Broken || tcp.Known < 20 {
			return
		}
		a := arrival{note: note{at: at, device: f.device, Packet: packet.Evidence(&ip, &tcp)}, loopback: f.loopback}
		src, dst := netip.AddrPortFrom(ip.Src, tcp.SrcPort), netip.AddrPortFrom(ip.Dst, tcp.DstPort)
		a.Sampled = w.concern.sample
		a.partly = !w.concern.covers(src, dst)
		// On the loopback device both ends may be ours: the same packet is then of two legs. Where clients choose, the end that is
		// chosen is ours towards the client and far towards the server.
		in, out := !f.outgoing, f.outgoing
		if f.loopback {
			in = w.concern.transparent || w.concern.listens(dst) || w.concern.dials(src)
			out = w.concern.transparent || w.concern.listens(src) || w.concern.dials(dst)
		}
		if in {
			w.table.add(keyOf(dst, src), &a)
		}
		if out {
			a.by = fromUs
			a.From, a.Repeat, a.Probe = fromUs, false, false
			w.table.add(keyOf(src, dst), &a)
		}
	}
}
