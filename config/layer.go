package config

// layer is what one source says: values that passed parse and check, where each
// came from, and the problems with the rest.
type layer struct {
	values    map[string]any   // by path, outside lists
	listeners []map[string]any // by key; an item too broken to read is an empty map, so that indices stay true
	origins   Origins
	problems  []Problem
	unread    bool // the source could not be read as a whole, so what it lacks is not known
}

func newLayer() *layer {
	return &layer{values: map[string]any{}, origins: Origins{}}
}

// fail notes a fault; value nil is a fault without a value to show.
func (l *layer) fail(at Origin, key string, value *string, f *fault) {
	p := Problem{At: at, Key: key, What: f.what, Allowed: f.allowed, Suggest: f.suggest}
	if value != nil {
		p.Value, p.Valued = *value, true
	}
	l.problems = append(l.problems, p)
}

// take reads one scalar from its text and keeps it, or notes what is wrong.
func (l *layer) take(f field, text string, at Origin, s supported) {
	value, bad := parse(f, text)
	if bad == nil {
		bad = check(f, value, s)
	}
	if bad != nil {
		l.fail(at, f.path, &text, bad)
		return
	}
	l.values[f.path] = value
	l.origins[f.path] = at
}
