package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"whyreset/proxy/rules"
)

func newRulesApplyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Put the packet rules in place",
		Long: `Does what "whyreset rules show" prints. Rules of an earlier apply are replaced; where it fails, nothing stays. Start the
proxy first: until one listens, what becomes of new connections is what show says under "without a proxy".

Needs CAP_NET_ADMIN. Kernel parameters are set with --rules.sysctls set alone.

` + exitCodes,
		Example: `  sudo whyreset rules apply --config whyreset.yaml
  sudo whyreset rules apply --config whyreset.yaml --rules.sysctls set`,
		Args:              arguments(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, plan, err := loadPlan(cmd, "whyreset rules apply")
			if err != nil {
				return err
			}
			k, err := keep(cfg)
			if err != nil {
				return err
			}
			defer k.lock.Release()
			if err := plan.Apply(cmd.Context(), k.file); err != nil {
				return err
			}
			warnSysctls(cmd.ErrOrStderr(), plan)
			for i, c := range plan.Settings().Captures {
				if !rules.Listening(c.Port) {
					fmt.Fprintf(cmd.ErrOrStderr(), "whyreset: nobody listens on port %d yet, that of listener %s: %s\n", c.Port, c.Name, plan.WhenDead()[i].Text)
				}
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "the packet rules of placement %s are in place; \"whyreset rules remove\" takes them away\n", plan.Settings().Placement)
			return err
		},
	}
	configFlags(cmd)
	return cmd
}

// warnSysctls tells of kernel parameters that have not the value that the rules need.
func warnSysctls(w io.Writer, plan *rules.Plan) {
	for _, p := range plan.Sysctls() {
		if now := sysctl(p.Key); now != p.Value {
			fmt.Fprintf(w, "whyreset: %s is %s, and the rules need %s (%s): set it with sysctl -w %s=%s, or use --rules.sysctls set\n",
				p.Key, now, p.Value, p.Why, p.Key, p.Value)
		}
	}
}
