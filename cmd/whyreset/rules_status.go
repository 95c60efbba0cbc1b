package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"whyreset/config"
	"whyreset/proxy/rules"
)

func newRulesStatusCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say which packet rules are in place, whose, and whether they are as planned",
		Long: `Compares what is in place with what was put, and that with the configuration.

Needs CAP_NET_ADMIN.

Exit codes: 0 all is as planned, 1 it is not, or could not be found out, 2 the command line or the configuration is wrong.`,
		Example: `  sudo whyreset rules status
  sudo whyreset rules status --config whyreset.yaml --format json`,
		Args:              arguments(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			print, ok := map[string]func(standing, io.Writer) error{"text": standing.text, "json": standing.json}[format]
			if !ok {
				return usage(cmd, fmt.Errorf("--format %s: allowed are text and json", format))
			}
			cfg, _, err := load(cmd, false)
			if err != nil {
				return err
			}
			if err := rules.Allowed(); err != nil {
				return &hintedError{err, "run it as root, as with sudo"}
			}
			s, err := newStanding(cfg)
			if err != nil {
				return err
			}
			if err := print(s, cmd.OutOrStdout()); err != nil {
				return err
			}
			if len(s.Faults) > 0 {
				return exitStatus(exitFailure)
			}
			return nil
		},
	}
	configFlags(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "text, or json for one object")
	cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// standing is how rules stand, with what is not as planned.
type standing struct {
	rules.State
	File   string
	Holder int // the process that keeps them; 0: nobody
	Faults []string
}

func newStanding(cfg *config.Config) (s standing, err error) {
	if s.File, err = rules.StateFile(cfg.Rules.StateDir); err != nil {
		return s, err
	}
	if s.State, err = rules.Status(s.File); err != nil {
		return s, err
	}
	s.Holder = rules.Holder(s.File)
	fault := func(format string, args ...any) { s.Faults = append(s.Faults, fmt.Sprintf(format, args...)) }
	switch {
	case s.Known && s.Past != "":
		fault("what is noted in %s cannot be there any more: %s", s.File, s.Past)
	case s.Known && s.Released:
		fault("the rules are released: new connections go direct, those carried go on")
	case s.Known && !s.Complete():
		fault("what is in place is not what was put")
	}
	if s.Known && s.Past == "" && s.By == rules.ByRun && s.Holder == 0 {
		fault("the process that kept the rules was killed: they stay until the next start, or whyreset rules remove")
	}
	if !s.Known {
		left, err := rules.Leftovers(rules.DefaultTable, uint32(cfg.Rules.RouteTable))
		if err != nil {
			return s, err
		}
		if len(left) > 0 {
			fault("nothing is noted in %s, and yet there is, by its marks: %s", s.File, strings.Join(left, ", "))
		}
	}
	if cfg.Rules.Placement == config.PlacementNone || len(cfg.Listeners) == 0 {
		return s, nil
	}
	plan, err := rulesPlan(cfg)
	switch {
	case err != nil:
		return s, err
	case !s.Known || s.Past != "":
		fault("the configuration has placement %s, and its rules are not in place", cfg.Rules.Placement)
	case s.Plan != plan.Digest():
		fault("the configuration asks for other rules than those that were put: apply them again")
	}
	for _, p := range plan.Sysctls() {
		if now := sysctl(p.Key); now != p.Value {
			fault("%s is %s, and the rules need %s: %s", p.Key, now, p.Value, p.Why)
		}
	}
	return s, nil
}

func (s standing) text(w io.Writer) error {
	var b strings.Builder
	switch {
	case s.Known && s.Past == "":
		fmt.Fprintf(&b, "packet rules put by %s on %s\n", s.By, s.Since.Format(time.DateTime))
	case !s.Known && len(s.Faults) == 0:
		b.WriteString("there are no packet rules of whyreset here\n")
	}
	if s.Holder != 0 {
		fmt.Fprintf(&b, "kept by process %d, which takes them away when it ends\n", s.Holder)
	}
	for _, p := range s.Parts {
		there := "as put"
		if !p.There {
			there = "NOT SO"
		}
		fmt.Fprintf(&b, "  %s  %s\n", there, p.What)
	}
	for _, f := range s.Faults {
		b.WriteString(wrap(f, "not as planned: ") + "\n")
	}
	if s.Known && len(s.Faults) == 0 {
		b.WriteString("all is as planned\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s standing) json(w io.Writer) error {
	type part struct {
		What  string `json:"what"`
		There bool   `json:"there"`
	}
	out := struct {
		AsPlanned bool      `json:"as_planned"`
		Applied   bool      `json:"applied"`
		By        string    `json:"by,omitempty"`
		Since     time.Time `json:"since,omitzero"`
		Holder    int       `json:"process,omitempty"`
		Released  bool      `json:"released"`
		Parts     []part    `json:"parts"`
		Faults    []string  `json:"faults"`
	}{AsPlanned: len(s.Faults) == 0, Applied: s.Known && s.Past == "", By: s.By, Since: s.Since, Holder: s.Holder, Released: s.Released,
		Parts: []part{}, Faults: append([]string{}, s.Faults...)}
	for _, p := range s.Parts {
		out.Parts = append(out.Parts, part(p))
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}
