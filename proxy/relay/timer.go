package relay

// timers is a heap of pairs by deadline: one deadline a pair, whose meaning follows from the pair's
// stage. An idle timeout is not moved with every byte; when it is due, the pair looks at its last
// activity and waits for the rest.
type timers []*pair

// next is the earliest deadline in ns; ok is false without one.
func (t timers) next() (at int64, ok bool) {
	if len(t) == 0 {
		return 0, false
	}
	return t[0].deadline, true
}

// set gives p a deadline, in place of the one it had.
func (t *timers) set(p *pair, at int64) {
	p.deadline = at
	if p.timer < 0 {
		p.timer = int32(len(*t))
		*t = append(*t, p)
	}
	t.up(int(p.timer))
	t.down(int(p.timer))
}

// stop takes p out; nothing happens when it has no deadline.
func (t *timers) stop(p *pair) {
	i := int(p.timer)
	if i < 0 {
		return
	}
	last := len(*t) - 1
	t.swap(i, last)
	(*t)[last] = nil
	*t = (*t)[:last]
	p.timer = -1
	if i < last {
		t.up(i)
		t.down(i)
	}
}

func (t timers) swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].timer, t[j].timer = int32(i), int32(j)
}

func (t timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if t[parent].deadline <= t[i].deadline {
			return
		}
		t.swap(i, parent)
		i = parent
	}
}

func (t timers) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(t); child++ {
			if t[child].deadline < t[least].deadline {
				least = child
			}
		}
		if least == i {
			return
		}
		t.swap(i, least)
		i = least
	}
}
