package watch

import "whyreset/diagnose/evidence"

// openWitness must be called in the router. Where the kernel lets nobody hear it, there is none.
func (r *legsRouter) openWitness() {
	if w, err := witnessBy("raw tracepoints", ways["raw tracepoints"]); err == nil {
		r.witness = w
		r.t.Cleanup(w.Close)
	}
}

// checkWitness wants the reset of one side told by who made it and by us who accepted it, and ours to the other side by us and by
// who accepted that: none of it on the wrong leg, though each stack here has sockets of the same addresses.
func (r *legsRouter) checkWitness(c *Connection, by, other evidence.Leg) {
	if r.witness == nil {
		return
	}
	seen, coverage := r.witness.Of(c)
	if coverage != evidence.Watched {
		r.t.Errorf("%v: got coverage %q of the witness", c, coverage)
	}
	type route struct {
		from, to      evidence.Leg
		sent, foreign bool
	}
	got := map[route]int{}
	for _, o := range seen {
		k := o.What.(evidence.Kernel)
		got[route{k.From, k.To, k.Sent, k.Foreign}]++
		if leg := max(k.From, k.To); o.Leg != leg || k.Sent && k.Reason == "" {
			r.t.Errorf("%v: got on leg %v %+v, want it on %v with a reason if it was sent", c, o.Leg, k, leg)
		}
	}
	for _, want := range []route{
		{by, evidence.NoLeg, true, true}, {by, evidence.NoLeg, false, false},
		{evidence.NoLeg, other, true, false}, {evidence.NoLeg, other, false, true},
	} {
		if got[want] != 1 {
			r.t.Errorf("%v: got %+v from the kernel, want %+v in it once", c, got, want)
		}
		delete(got, want)
	}
	if len(got) != 0 {
		r.t.Errorf("%v: got %+v from the kernel beside what was done", c, got)
	}
}
