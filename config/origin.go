package config

import (
	"fmt"
	"strconv"
)

// OriginKind is the kind of source a value came from.
type OriginKind int

// Kinds of sources, in rising precedence. The zero value means not set.
const (
	FromDefault OriginKind = iota + 1
	FromFile
	FromEnv
	FromFlag
)

// Origin is the place a value came from.
type Origin struct {
	Kind OriginKind
	Name string // file path, variable name or flag name; empty for a default
	Line int    // in the file, from 1; 0 = the file as a whole
}

// String is "default", "FILE:LINE", "FILE", "env NAME" or "flag --NAME".
func (o Origin) String() string {
	switch o.Kind {
	case FromFile:
		if o.Line == 0 {
			return o.Name
		}
		return o.Name + ":" + strconv.Itoa(o.Line)
	case FromEnv:
		return "env " + o.Name
	case FromFlag:
		return "flag --" + o.Name
	}
	return "default"
}

// Origins holds an Origin for each key that was given, by its path
// ("timeouts.connect", "listeners[0].address").
type Origins map[string]Origin

// Of returns the origin of a key: the default when no source gave it.
func (o Origins) Of(key string) Origin {
	if origin, ok := o[key]; ok {
		return origin
	}
	return Origin{Kind: FromDefault}
}

// nearest is the origin of a key that was given, or, of one that is missing, where its listener begins; zero otherwise.
func (o Origins) nearest(key string) Origin {
	at, ok := o[key]
	var i int
	if n, _ := fmt.Sscanf(key, "listeners[%d]", &i); !ok && n == 1 {
		at = o[listenerPath(i, "")]
	}
	return at
}
