package watch

import (
	"time"

	"whyreset/diagnose/evidence"
)

// maxBaselines addresses are remembered; more would be a scan, of which no address comes back.
const maxBaselines = 16 << 10

// shown is what connections have shown of a far end's address.
type shown struct {
	ttl uint8 // zero: nothing
	rtt time.Duration
	at  time.Duration
}

// place is an address, IPv4 mapped into IPv6, and whether it was met on the loopback device: where packet rules turn round what
// this host sends, it is this host that answers there, with the address of another.
type place struct {
	addr     [16]byte
	loopback bool
}

func (f *flow) place() place { return place{f.key.far, f.loopback} }

// baselines are the records.
type baselines struct{ all map[place]shown }

// learn takes from a flow what it has shown; rtt is that of its handshake, or zero.
func (b *baselines) learn(f *flow, rtt time.Duration) {
	if f.farTTL == 0 {
		return
	}
	old, known := b.all[f.place()]
	if !known && len(b.all) >= maxBaselines {
		b.forgetOne()
	}
	if old.rtt > 0 && (rtt == 0 || old.rtt < rtt) {
		rtt = old.rtt
	}
	b.all[f.place()] = shown{ttl: f.farTTL, rtt: rtt, at: f.last}
}

// forgetOne forgets the oldest of a few.
func (b *baselines) forgetOne() {
	const few = 8
	var oldest place
	n := 0
	for at, r := range b.all {
		if n == 0 || r.at < b.all[oldest].at {
			oldest = at
		}
		if n++; n == few {
			break
		}
	}
	delete(b.all, oldest)
}

// evidence says it of a connection accepted at that time; ok is false when there is nothing to say.
func (r shown) evidence(of evidence.Leg, accepted time.Duration) (o evidence.Observation, ok bool) {
	if r.ttl == 0 {
		return o, false
	}
	return evidence.Observation{Leg: of, What: evidence.Baseline{Of: of, TTL: r.ttl, RTT: r.rtt, Age: max(0, accepted-r.at)}}, true
}
