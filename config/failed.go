package config

import "strings"

// failed knows the keys in which something was wrong, so that its consequences
// are not told as well.
type failed struct {
	keys  map[string]bool // with a problem, or probably meant by a misspelt one
	above map[string]bool // sections and listeners with a problem somewhere in them
}

func failedIn(problems []Problem) failed {
	f := failed{keys: map[string]bool{}, above: map[string]bool{}}
	for _, p := range problems {
		f.add(p)
	}
	return f
}

func (f failed) add(p Problem) {
	if p.Key == "" {
		return
	}
	f.keys[p.Key] = true
	f.keys[p.Suggest] = true // of a misspelt key the right one; no other guess looks like a key
	for key := parent(p.Key); key != ""; key = parent(key) {
		f.above[key] = true
	}
}

// has says whether something was wrong with key, with a part of it or with
// something it is part of.
func (f failed) has(key string) bool {
	if f.above[key] {
		return true
	}
	for ; key != ""; key = parent(key) {
		if f.keys[key] {
			return true
		}
	}
	return false
}

// parent is what a key is part of: "log" of "log.format", "listeners" of "listeners[0]".
func parent(key string) string {
	return key[:max(0, strings.LastIndexAny(key, ".["))]
}
