package config

import (
	"strings"

	"github.com/spf13/pflag"
)

// Names of the flags that are no keys of the file.
const (
	flagConfig  = "config"
	flagForward = "forward"
)

// RegisterFlags adds --config, --forward and one flag for each key outside
// lists to fs. A flag is spelt exactly as its key: --timeouts.connect.
func RegisterFlags(fs *pflag.FlagSet) {
	fs.String(flagConfig, "", "read this `FILE` instead of "+DefaultPath+"; it must exist")
	fs.StringArray(flagForward, nil,
		"listen on LISTEN and dial UPSTREAM, `LISTEN=UPSTREAM` such as 15432=db:5432 (repeatable); "+
			"LISTEN is IP:PORT, or PORT for 127.0.0.1; UPSTREAM is HOST:PORT, PORT for 127.0.0.1, or HOST for the port of LISTEN")
	for _, s := range scalars(Defaults()) {
		fs.Var(&flagText{text: yamlText(s.kind, plainValue(s.value)), kind: flagType(s.field)}, s.path, usage(s.path))
	}
}

// flagText keeps the text of a flag as given. It is not judged in Set, where
// pflag would stop at the first mistake; Load tells them all.
type flagText struct {
	text string
	kind string
}

func (t *flagText) String() string     { return t.text }
func (t *flagText) Set(s string) error { t.text = s; return nil }
func (t *flagText) Type() string       { return t.kind }

func flagType(f field) string {
	switch f.kind {
	case kindWord:
		return strings.Join(f.one, "|")
	case kindDuration:
		return "duration"
	case kindCount, kindMark:
		return "number"
	case kindRatio:
		return "0..1"
	}
	if strings.HasSuffix(f.key, "address") {
		return "IP:PORT"
	}
	if strings.HasSuffix(f.key, "_dir") {
		return "folder"
	}
	return "text"
}

// usage is the documentation of a key without the words "x is" and the default,
// which pflag adds itself.
func usage(path string) string {
	var kept []string
	for _, line := range strings.Split(keyDoc[path], "\n") {
		if rest, ok := strings.CutPrefix(line, "Default "); ok {
			_, zero, found := strings.Cut(rest, ". ")
			if !found {
				continue
			}
			line = zero
		}
		kept = append(kept, line)
	}
	text := strings.Join(kept, " ")
	if _, rest, ok := strings.Cut(text, " is "); ok {
		text = rest
	}
	return strings.TrimSuffix(text, ".")
}

// readFlags reads the flags that were given. Flags of fs that are not ours are
// left alone, and ours may be missing from it.
func readFlags(fs *pflag.FlagSet, s supported) *layer {
	l := newLayer()
	if fs == nil {
		return l
	}
	for _, sc := range scalars(Defaults()) {
		if f := fs.Lookup(sc.path); f != nil && f.Changed {
			l.take(sc.field, f.Value.String(), Origin{Kind: FromFlag, Name: sc.path}, s)
		}
	}
	if f := fs.Lookup(flagForward); f != nil {
		// GetStringArray would drop a single empty text.
		if texts, ours := f.Value.(pflag.SliceValue); ours {
			l.forwards(texts.GetSlice())
		}
	}
	return l
}

// forwards reads each --forward into a listener. The addresses themselves are
// checked with those of the file, so that the messages are the same.
func (l *layer) forwards(texts []string) {
	at := Origin{Kind: FromFlag, Name: flagForward}
	for _, text := range texts {
		listen, upstream, bad := parseForward(text)
		if bad != nil {
			l.unread = true
			l.fail(at, "", &text, bad)
			continue
		}
		l.listeners = append(l.listeners, map[string]any{
			"mode": string(ModeForward), "address": listen, "upstream": upstream,
		})
	}
}

// configPath returns the file named by --config.
func configPath(fs *pflag.FlagSet) (path string, named bool) {
	if fs == nil {
		return "", false
	}
	f := fs.Lookup(flagConfig)
	if f == nil || !f.Changed {
		return "", false
	}
	return f.Value.String(), true
}
