package config

// supported says which parts of the configuration this program can carry out.
// A key may be known, documented and well spelt, and still name something that
// is not there yet: that is refused by name, never ignored.
type supported struct {
	modes   []Mode       // listener modes
	sources []SourceAddr // ways to dial the upstream
	spoof   bool         // mode forward may dial as somebody else
	packets bool         // evidence.packets may be on
	witness bool         // evidence.witness may be on
	limits  bool         // limits.* may be other than 0
	admin   bool         // admin.address may be set
}

// built is what this version can do. It is the one place to widen when a mode,
// a source of evidence or a listener gets built.
var built = supported{
	modes:   []Mode{ModeForward, ModeRedirect, ModeTProxy},
	sources: []SourceAddr{SourceOwn, SourceClientIP, SourceClient},
	packets: true,
	witness: true,
	limits:  true,
}
