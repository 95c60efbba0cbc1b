package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "whyreset",
		Short: "A TCP proxy that says who reset the connection, and why",
		Long: `whyreset stands between clients and a service, carries every byte unchanged, and when a connection is cut
says who cut it, why, how sure it is, whether it hurt, and what to do.`,
		Example: `  whyreset demo
  whyreset run --forward 15432=db:5432
  whyreset causes app_close_unread`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return usage(cmd, fmt.Errorf("there is no command %q%s", args[0], meant(cmd, args[0])))
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, err) })
	root.SuggestionsMinimumDistance = 2
	root.AddCommand(newRunCommand(), newDemoCommand(), newCausesCommand(), newConfigCommand(), newVersionCommand())
	root.InitDefaultCompletionCmd()
	return root
}

// meant names commands that look like the one that was typed.
func meant(cmd *cobra.Command, typed string) string {
	if s := cmd.SuggestionsFor(typed); len(s) > 0 {
		return "; did you mean " + strings.Join(s, " or ") + "?"
	}
	return ""
}

const exitCodes = `Exit codes: 0 all went well, 1 it was tried and did not work, 2 the command line or the configuration is wrong.`
