// Package config turns a file, the environment and the command line into one
// checked Config, and says for every key where its value came from.
//
//	fs := pflag.NewFlagSet("whyreset", pflag.ContinueOnError)
//	config.RegisterFlags(fs)
//	// … fs.Parse(os.Args[1:]) …
//	cfg, origins, err := config.Load(config.Source{Flags: fs, Env: os.Environ()})
//	if err != nil {
//		return err // *config.Error: every mistake at once, one line each
//	}
//	fmt.Print(config.Show(cfg, origins, true))
//
// A key has one spelling: "timeouts.connect" is timeouts: {connect: …} in the
// file, WHYRESET_TIMEOUTS_CONNECT in the environment and --timeouts.connect on
// the command line. A later source wins over an earlier one: defaults, file,
// environment, flags.
//
// Nothing is guessed: a key that does not exist, a duration without unit, a
// number in quotes, a second document, a misspelt variable is an error that
// names place, key, value and what is allowed.
//
// The package reads no environment of its own accord, watches no file, and
// keeps no state between calls: to reload, call Load again with the same
// Source and compare with Diff. It is the only package that imports viper,
// and uses it for the layering alone; what viper would let pass is stopped
// before it gets there (see file.go, env.go and merge.go).
package config
