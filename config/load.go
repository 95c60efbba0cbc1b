package config

import (
	"maps"
	"slices"

	"github.com/spf13/pflag"
)

// Source says where a configuration is read from. The zero value reads
// DefaultPath, if it is there, and nothing else.
type Source struct {
	// File is the file to read; it must exist. Empty: the file named by --config
	// in Flags, which must exist too, else DefaultPath, which need not.
	File string
	// Env is the environment as os.Environ returns it. Nil: none.
	Env []string
	// Flags is a parsed flag set with the flags of RegisterFlags. Nil: none.
	Flags *pflag.FlagSet
	// NeedListeners makes it a mistake to configure no listener.
	NeedListeners bool
	// Check looks for mistakes that only the parts of the program know, once there are no others: of each problem it
	// gives the key and what is wrong, or no key, and Load adds where it stands. Nil: there is no such check.
	Check func(*Config) []Problem
}

// Load reads the sources in rising precedence: defaults, file, environment,
// flags; listeners of --forward come after those of the file. The error, if
// any, is an *Error with every mistake in every source, also in values that a
// later source overrides.
//
// Load may be called again at any time, also from several goroutines, with the
// same Source; it changes neither that nor anything else.
func Load(src Source) (*Config, Origins, error) {
	return load(src, DefaultPath, built)
}

func load(src Source, defaultPath string, s supported) (*Config, Origins, error) {
	return assemble(src, src.readFile(defaultPath, s), s)
}

func (src Source) readFile(defaultPath string, s supported) *layer {
	if src.File != "" {
		return readFile(src.File, true, s)
	}
	if path, named := configPath(src.Flags); named {
		if path == "" {
			l := newLayer()
			l.unread = true
			l.fail(Origin{Kind: FromFlag, Name: flagConfig}, "", &path, &fault{what: "is empty", allowed: "the path of a file"})
			return l
		}
		return readFile(path, true, s)
	}
	return readFile(defaultPath, false, s)
}

// assemble does all that follows the reading of the file.
func assemble(src Source, file *layer, s supported) (*Config, Origins, error) {
	env := readEnv(src.Env, s)
	flags := readFlags(src.Flags, s)

	origins := Origins{}
	for _, l := range []*layer{file, env, flags} {
		maps.Copy(origins, l.origins)
	}
	for i, item := range flags.listeners {
		at := Origin{Kind: FromFlag, Name: flagForward}
		n := len(file.listeners) + i
		origins[listenerPath(n, "")] = at
		for key := range item {
			origins[listenerPath(n, key)] = at
		}
	}
	problems := slices.Concat(file.problems, env.problems, flags.problems)

	cfg, err := merge(file, env, flags)
	if err != nil {
		return nil, nil, asError(append(problems, Problem{What: err.Error()}))
	}
	cfg.Complete()
	// A listener that could not be read is not the same as none.
	none := len(cfg.Listeners) == 0 && !file.unread && !flags.unread && !failedIn(problems).has("listeners")
	if src.NeedListeners && none {
		problems = append(problems, Problem{
			Key: "listeners", What: "there are none, so there is nothing to do",
			Allowed: "listeners in the file, or --forward LISTEN=UPSTREAM",
		})
	}
	problems = append(problems, validate(cfg, origins, s, problems)...)
	if src.Check != nil && len(problems) == 0 {
		for _, p := range src.Check(cfg) {
			p.At = origins.nearest(p.Key)
			problems = append(problems, p)
		}
	}
	if err := asError(problems); err != nil {
		return nil, nil, err
	}
	return cfg, origins, nil
}
