package config

import (
	"fmt"
	"maps"

	"github.com/spf13/pflag"
)

// Source says where a configuration is read from. The zero value reads
// DefaultPath, if it is there, and nothing else.
type Source struct {
	// File is the file to read; it must exist. Empty: the file named by --config
	// in Flags, which must exist too, else DefaultFile, which need not.
	File string
	// DefaultFile is the file to read when none is named. Empty: DefaultPath.
	DefaultFile string
	// Env is the environment as os.Environ returns it. Nil: none.
	Env []string
	// OtherEnv names variables beginning with WHYRESET_ that are no keys but are
	// read elsewhere. All others are mistakes.
	OtherEnv []string
	// Flags is a parsed flag set with the flags of RegisterFlags. Nil: none.
	Flags *pflag.FlagSet
	// Supported is what the program can do. Nil: Built().
	Supported *Supported
	// NeedListeners makes it a mistake to configure no listener.
	NeedListeners bool
}

// Load reads the sources in rising precedence: defaults, file, environment,
// flags; listeners of --forward come after those of the file. The error, if
// any, is an *Error with every mistake in every source, also in values that a
// later source overrides.
//
// Load may be called again at any time, also from several goroutines, with the
// same Source; it changes neither that nor anything else.
func Load(src Source) (*Config, Origins, error) {
	s := src.supported()
	return assemble(src, src.readFile(s), s)
}

func (src Source) supported() Supported {
	if src.Supported != nil {
		return *src.Supported
	}
	return Built()
}

func (src Source) readFile(s Supported) *layer {
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
	if src.DefaultFile != "" {
		return readFile(src.DefaultFile, false, s)
	}
	return readFile(DefaultPath, false, s)
}

// assemble does all that follows the reading of the file.
func assemble(src Source, file *layer, s Supported) (*Config, Origins, error) {
	env := readEnv(src.Env, src.OtherEnv, s)
	flags := readFlags(src.Flags, s)

	origins := Origins{}
	for _, l := range []*layer{file, env, flags} {
		maps.Copy(origins, l.origins)
	}
	for i, item := range flags.listeners {
		at := Origin{Kind: FromFlag, Name: flagForward}
		n := len(file.listeners) + i
		origins[fmt.Sprintf("listeners[%d]", n)] = at
		for key := range item {
			origins[listenerPath(n, key)] = at
		}
	}
	problems := append(append(append([]Problem{}, file.problems...), env.problems...), flags.problems...)

	cfg, err := merge(file, env, flags)
	if err != nil {
		return nil, nil, asError(append(problems, Problem{What: err.Error()}))
	}
	cfg.Complete()
	// A listener that could not be read is not the same as none.
	none := len(cfg.Listeners) == 0 && !file.unread && len(flags.problems) == 0 && !failed(problems, "listeners")
	if src.NeedListeners && none {
		problems = append(problems, Problem{
			Key: "listeners", What: "there are none, so there is nothing to do",
			Allowed: "listeners in the file, or --forward LISTEN=UPSTREAM",
		})
	}
	problems = append(problems, validate(cfg, origins, s, problems)...)
	if err := asError(problems); err != nil {
		return nil, nil, err
	}
	return cfg, origins, nil
}
