package watch

import "time"

// pace bounds what the looking at packets costs. Where nothing merges segments, as on an interface without offloads, a fast stream has
// a million packets a second: then all that begin or end a connection are looked at, and of the others, of those that come in, one in sampleOf.
type pace struct {
	most    int           // packets between two looks that are not too many
	looked  int           // since the last look
	busy    int           // looks in a row that had too many
	calm    int           // looks in a row, of those with samples only, that had few
	sampled time.Duration // when samples were last all that was looked at; zero: never
}

const (
	mostLooked = 4000 // 200,000 a second, which take a tenth of a core
	busyLooks  = 3
	calmLooks  = 25
)

// keepPace is called once every look.
func (w *Packets) keepPace() {
	p := &w.pace
	n := p.looked
	p.looked = 0
	if !w.concern.sample {
		if p.busy++; n <= p.most {
			p.busy = 0
		}
		if p.busy >= busyLooks {
			w.sample(true)
		}
		return
	}
	p.sampled = time.Since(w.start)
	if p.calm++; n*sampleOf > p.most/2 {
		p.calm = 0
	}
	if p.calm >= calmLooks {
		w.sample(false)
	}
}

// sample begins or ends the looking at samples. Packets count as samples as long as the filter may have let only samples pass.
func (w *Packets) sample(on bool) {
	if w.over != "" {
		return
	}
	w.pace.busy, w.pace.calm = 0, 0
	w.pace.sampled = time.Since(w.start)
	wanted := w.concern.wanted()
	wanted.sample = on
	w.concern.sample = true
	if err := w.ring.setFilter(wanted.filter()); err != nil {
		w.over = "the filter could not be changed: " + err.Error()
		return
	}
	w.ring.ignoreOutgoing(on)
	if !on {
		w.drain()
		w.concern.sample = false
		w.pace.sampled = time.Since(w.start)
	}
}
