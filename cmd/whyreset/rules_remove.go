package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"whyreset/config"
	"whyreset/proxy/rules"
)

func newRulesRemoveCommand() *cobra.Command {
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "remove",
		Short: "Take the packet rules away, and put kernel parameters back",
		Long: `Takes away what apply has put, or what a crash has left of it: by the note in rules.state_dir, and where there is none by
the marks that rules and routes of this program bear. Kernel parameters that were set get their old values back.

Connections that the rules have led to the proxy end with the rules. So new ones are sent direct first, and those there get
--grace to end; what is left then is cut.

Needs CAP_NET_ADMIN. Where there is nothing to remove, that is said, and all is well.

` + exitCodes,
		Example: `  sudo whyreset rules remove
  sudo whyreset rules remove --grace 0s`,
		Args:              arguments(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := load(cmd, false)
			if err != nil {
				return err
			}
			k, err := keep(cfg)
			if err != nil {
				return err
			}
			defer k.lock.Release()
			said, err := k.remove(cmd.Context(), cfg, grace)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
			return err
		},
	}
	configFlags(cmd)
	cmd.Flags().DurationVar(&grace, "grace", 10*time.Second, "how long connections that the rules carry may go on; 0s cuts them at once")
	cmd.RegisterFlagCompletionFunc("grace", cobra.NoFileCompletions)
	return cmd
}

// graceLook is the pause between looks whether the last connection has ended.
const graceLook = 50 * time.Millisecond

// remove says what it did.
func (k *kept) remove(ctx context.Context, cfg *config.Config, grace time.Duration) (string, error) {
	state, err := rules.Status(k.file)
	if err != nil {
		return "", err
	}
	if !state.Known || state.Past != "" {
		if err := rules.Remove(ctx, k.file); err != nil { // the file alone
			return "", err
		}
		taken, err := rules.Sweep(ctx, rules.DefaultTable, uint32(cfg.Rules.RouteTable))
		switch {
		case err != nil:
			return "", err
		case len(taken) == 0:
			return "there are no packet rules of whyreset here", nil
		}
		return fmt.Sprintf("nothing was noted in %s; by their marks these were removed: %s", k.file, strings.Join(taken, ", ")), nil
	}
	if err := rules.Release(ctx, k.file); err != nil {
		return "", err
	}
	cut, err := rules.Carried(k.file)
	for deadline := time.Now().Add(grace); err == nil && cut > 0 && time.Now().Before(deadline); {
		time.Sleep(graceLook)
		cut, err = rules.Carried(k.file)
	}
	if err != nil {
		return "", err
	}
	if err := rules.Remove(ctx, k.file); err != nil {
		return "", err
	}
	if cut > 0 {
		return "the packet rules are removed, and with them the way of " + plural(cut, "socket") + " of connections that had not ended", nil
	}
	return "the packet rules are removed", nil
}
