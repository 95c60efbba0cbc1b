package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"whyreset/config"
	"whyreset/proxy/doctor"
)

func newDoctorCommand() *cobra.Command {
	var format string
	var connect bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what would not work on this host, and what to do",
		Long: `Looks at this host through the eyes of the configuration, or in general where there is none: kernel, capabilities,
addresses to listen on, upstream names, packet rules, kernel parameters, limits, the log, what the records will be able
to tell, and what a proxy changes by being there.

It tries what it can and changes nothing: nothing listens, no file is made, no rule is put. Only with --connect does it
connect to the upstreams. It ends within seconds, so it may stand before run, as in an init container; it must have the
user, capabilities and namespaces that run will have.

    ok    as it should be
    note  good to know
    warn  works, and will surprise under the condition named
    fail  breaks what the configuration says: exit code 1

With --format json each finding is an object with id, level, area and what, and where there is something to say listener,
why and do. An id says what was looked at, whatever came of it; ids are never renamed.

` + exitCodes,
		Example: `  whyreset doctor
  whyreset doctor --config whyreset.yaml --connect
  whyreset doctor --forward 15432=db:5432 --format json`,
		Args:              arguments(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			tell, ok := map[string]func(io.Writer, []doctor.Finding) error{"text": findingsText, "json": findingsJSON}[format]
			if !ok {
				return usage(cmd, fmt.Errorf("--format %s: allowed are text and json", format))
			}
			cfg, _, err := load(cmd, false)
			if err != nil {
				return err
			}
			s := doctor.Subject{Config: cfg, ConfigFile: configFile(cmd), Connect: connect}
			if cfg.Rules.Placement != config.PlacementNone && len(cfg.Listeners) > 0 {
				if s.Plan, err = rulesPlan(cfg); err != nil {
					return err
				}
			}
			findings := doctor.Examine(cmd.Context(), s)
			if err := tell(cmd.OutOrStdout(), findings); err != nil {
				return err
			}
			if doctor.Worst(findings) == doctor.Fail {
				return exitStatus(exitFailure)
			}
			return nil
		},
	}
	configFlags(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "text, or json for one object a line")
	cmd.Flags().BoolVar(&connect, "connect", false, "also connect to the upstreams, and close at once")
	cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// configFile is where the configuration was read from; empty when from no file.
func configFile(cmd *cobra.Command) string {
	path, err := cmd.Flags().GetString("config")
	if err == nil && path != "" {
		return path
	}
	if _, err := os.Stat(config.DefaultPath); err == nil {
		return config.DefaultPath
	}
	return ""
}

func findingsJSON(w io.Writer, findings []doctor.Finding) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, f := range findings {
		if err := enc.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// Colours of the levels, as the terminal's own palette has them (ECMA-48 SGR).
var levelColours = map[doctor.Level]string{doctor.OK: "\x1b[32m", doctor.Note: "\x1b[36m", doctor.Warn: "\x1b[33m", doctor.Fail: "\x1b[31m"}

// findingsText writes the findings by area, and how many of each level there are.
func findingsText(w io.Writer, findings []doctor.Finding) error {
	colour := terminal(w)
	var b strings.Builder
	count := map[doctor.Level]int{}
	var area doctor.Area
	for _, f := range findings {
		if f.Area != area {
			if area != "" {
				b.WriteString("\n")
			}
			area = f.Area
			fmt.Fprintln(&b, area)
		}
		count[f.Level]++
		what := f.What
		if f.Listener != "" {
			what = f.Listener + ": " + what
		}
		lines := wrap(what, fmt.Sprintf("  %-4s  ", f.Level))
		if colour {
			lines = strings.Replace(lines, string(f.Level), levelColours[f.Level]+string(f.Level)+"\x1b[0m", 1)
		}
		b.WriteString(lines + "\n")
		for _, more := range [][2]string{{"why", f.Why}, {"do", f.Do}} {
			if more[1] != "" {
				b.WriteString(wrap(more[1], fmt.Sprintf("          %-3s  ", more[0])) + "\n")
			}
		}
	}
	fmt.Fprintf(&b, "\n%d fail, %d warn, %d note, %d ok\n", count[doctor.Fail], count[doctor.Warn], count[doctor.Note], count[doctor.OK])
	_, err := io.WriteString(w, b.String())
	return err
}

// terminal says whether w is one that wants colours (https://no-color.org).
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd()) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
