package main

import "github.com/spf13/cobra"

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "whyreset",
		Short: "A TCP proxy that says who reset the connection, and why",
		Long: `whyreset stands between clients and a service, carries every byte unchanged, and when a connection is cut
says who cut it, why, how sure it is, whether it hurt, and what to do.`,
		Example: `  whyreset demo
  whyreset explain trace.pcap
  whyreset run --forward 15432=db:5432
  whyreset causes app_close_unread`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.Version = version()
	root.SetVersionTemplate(versionLine())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, noSuchFlag(cmd, err)) })
	root.AddCommand(newRunCommand(), newDemoCommand(), newExplainCommand(), newRulesCommand(), newCausesCommand(), newConfigCommand(), newDoctorCommand(), newVersionCommand())
	root.SetHelpCommand(newHelpCommand())
	root.InitDefaultCompletionCmd()
	for _, cmd := range append(root.Commands(), root) {
		if cmd.HasSubCommands() {
			cmd.Args, cmd.RunE = noSuchCommand, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
	return root
}

const exitCodes = `Exit codes: 0 all went well, 1 it was tried and did not work, 2 the command line or the configuration is wrong.`
