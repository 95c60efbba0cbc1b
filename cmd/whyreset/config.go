package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"whyreset/config"
)

func newConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check, show and explain the configuration",
		Long: `The configuration comes from a file (--config, else ` + config.DefaultPath + ` if it is there), from WHYRESET_* variables
and from flags, each over the one before.`,
	}
	cmd.AddCommand(newConfigCheckCommand(), newConfigShowCommand(), newConfigDefaultCommand())
	return cmd
}

func newConfigCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Tell every mistake in the configuration at once",
		Long:  "Reads the configuration as run would, and opens nothing.\n\n" + exitCodes,
		Example: `  whyreset config check --config whyreset.yaml
  WHYRESET_TIMEOUTS_IDLE=5m whyreset config check --forward 15432=db:5432`,
		Args:              arguments(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, _, err := load(cmd, false); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "the configuration is good")
			return err
		},
	}
	configFlags(cmd)
	return cmd
}

func newConfigShowCommand() *cobra.Command {
	var origin bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the configuration that would be in force",
		Example: `  whyreset config show --origin
  whyreset config show --config whyreset.yaml`,
		Args:              arguments(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, origins, err := load(cmd, false)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), config.Show(cfg, origins, origin))
			return err
		},
	}
	cmd.Flags().BoolVar(&origin, "origin", false, "say beside each value where it comes from")
	configFlags(cmd)
	return cmd
}

func newConfigDefaultCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "default",
		Short:             "Print a file with every key, its meaning and its default",
		Example:           "  whyreset config default > whyreset.yaml",
		Args:              arguments(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), config.DefaultYAML())
			return err
		},
	}
}

// configFlags gives a command the flags of the configuration, and completes their words.
func configFlags(cmd *cobra.Command) {
	config.RegisterFlags(cmd.Flags())
	cmd.MarkFlagFilename("config", "yaml", "yml")
	for _, k := range config.Keys() {
		if k.Env == "" { // of a listener
			continue
		}
		complete := cobra.NoFileCompletions
		if k.Path == "log.output" {
			complete = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
				return []string{"stdout", "stderr"}, cobra.ShellCompDirectiveDefault // or a file
			}
		} else if len(k.Words) > 0 {
			complete = cobra.FixedCompletions(k.Words, cobra.ShellCompDirectiveNoFileComp)
		}
		cmd.RegisterFlagCompletionFunc(k.Path, complete)
	}
}

// load reads the configuration that the command line asks for.
func load(cmd *cobra.Command, needListeners bool) (*config.Config, config.Origins, error) {
	return config.Load(config.Source{Flags: cmd.Flags(), Env: os.Environ(), NeedListeners: needListeners, Check: checkRules})
}
