package replay

import (
	"time"

	"whyreset/diagnose/evidence"
)

// baseline is what the connections before have shown of an address.
type baseline struct {
	ttl uint8 // zero: nothing
	rtt time.Duration
	at  time.Time
}

// baselines are kept of so many addresses; more would be a scan, of which no address comes back.
const maxBaselines = 1 << 16

// remember takes from a flow what it showed of its ends.
func (t *Tracker) remember(f *flow) {
	for i := range f.half {
		s := &f.notes.account.Streams[i]
		if s.MinTTL == 0 {
			continue
		}
		addr := f.half[i].addr.Addr()
		old, known := t.baselines[addr]
		if !known && len(t.baselines) >= maxBaselines {
			for some := range t.baselines {
				delete(t.baselines, some)
				break
			}
		}
		now := baseline{ttl: f.half[i].ttl, rtt: old.rtt, at: f.first.Add(s.LastAt)}
		if rtt := s.HandshakeRTT; rtt > 0 && (now.rtt == 0 || rtt < now.rtt) {
			now.rtt = rtt
		}
		t.baselines[addr] = now
	}
}

// recall gives a new flow what the ones before have shown of its ends.
func (t *Tracker) recall(f *flow) {
	for i := range f.half {
		f.notes.base[i] = t.baselines[f.half[i].addr.Addr()]
	}
}

// evidence says it of a flow that began at start; ok is false when there is nothing to say.
func (b baseline) evidence(of evidence.Leg, start time.Time) (o evidence.Observation, ok bool) {
	if b.ttl == 0 {
		return o, false
	}
	return evidence.Observation{What: evidence.Baseline{Of: of, TTL: b.ttl, RTT: b.rtt, Age: max(0, start.Sub(b.at))}}, true
}
