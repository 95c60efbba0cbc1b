package config

import (
	"fmt"
	"slices"
	"strings"
)

// loops refuses listeners that would dial themselves, directly or by way of
// others: one connection would become as many as there are ports.
func (v *validator) loops() {
	addrs := make([]listenAddr, len(v.Listeners))
	for i, l := range v.Listeners {
		addrs[i], _ = parseListen(l.Address) // a wrong one has port 0, which nobody reaches
	}
	next := make([]int, len(v.Listeners)) // the listener that an upstream leads to, or -1
	for i, l := range v.Listeners {
		next[i] = leadsTo(l, addrs)
	}
	told := make([]bool, len(next))
	for i := range next {
		if way := circle(next, i); way != nil && !told[i] {
			names := make([]string, len(way))
			for k, j := range way {
				told[j] = true
				names[k] = v.Listeners[j].Name
			}
			what := "is this listener itself, so that it would dial itself without end"
			if len(way) > 2 {
				what = fmt.Sprintf("leads back to this listener (%s)", strings.Join(names, " → "))
			}
			v.fail(listenerPath(i, "upstream"), &v.Listeners[i].Upstream, &fault{what: what})
		}
	}
}

func leadsTo(l Listener, addrs []listenAddr) int {
	if l.Mode != ModeForward {
		return -1
	}
	up, bad := parseUpstream(l.Upstream)
	if bad != nil {
		return -1
	}
	return slices.IndexFunc(addrs, up.reaches)
}

// circle follows next from start and returns the way back to it, start at both
// ends, or nil. Each listener has one upstream, so len(next) steps are enough.
func circle(next []int, start int) []int {
	way := []int{start}
	for i := next[start]; i >= 0 && len(way) <= len(next); i = next[i] {
		way = append(way, i)
		if i == start {
			return way
		}
	}
	return nil
}
