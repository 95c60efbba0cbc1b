package config

// Supported says which parts of the configuration this program can carry out.
// A key may be known, documented and well spelt, and still name something that
// is not there yet: that is refused by name, never ignored.
type Supported struct {
	Modes   []Mode       // listener modes
	Sources []SourceAddr // ways to dial the upstream
	Packets bool         // evidence.packets may be on
	Witness bool         // evidence.witness may be on
	Limits  bool         // limits.* may be other than 0
	Admin   bool         // admin.address may be set
}

// Built returns what this version can do. It is the one place to widen when a
// mode, a source of evidence or a listener gets built.
func Built() Supported {
	return Supported{
		Modes:   []Mode{ModeForward},
		Sources: []SourceAddr{SourceOwn},
	}
}

// Everything returns a Supported that refuses nothing.
func Everything() Supported {
	return Supported{
		Modes:   []Mode{ModeForward, ModeRedirect, ModeTProxy},
		Sources: []SourceAddr{SourceOwn, SourceClientIP, SourceClient},
		Packets: true,
		Witness: true,
		Limits:  true,
		Admin:   true,
	}
}
