package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"whyreset/config"
	"whyreset/proxy/rules"
)

func newRulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Show, apply and remove the packet rules that lead connections to the proxy",
		Long: `The packet rules (nft), routes and kernel parameters that lead connections to the listeners of modes redirect and
tproxy. They follow from the configuration: rules.placement says where the proxy stands, and each listener which ports it
takes. Nothing else on the host is touched: the packet rules stand in a table of their own, routes and routing rules bear a
protocol number of their own, and what has been put is noted in rules.state_dir before it is.

Only new connections are led to the proxy; those that are there go on as they are. "whyreset run --rules" applies the
rules once the proxy listens, and removes them when it ends, in whatever way.`,
	}
	cmd.AddCommand(newRulesShowCommand(), newRulesApplyCommand(), newRulesRemoveCommand(), newRulesStatusCommand())
	return cmd
}

// loadPlan reads the configuration, which must have a plan. By is the command for which it is.
func loadPlan(cmd *cobra.Command, by string) (*config.Config, *rules.Plan, error) {
	cfg, _, err := load(cmd, true)
	if err != nil {
		return nil, nil, err
	}
	if cfg.Rules.Placement == config.PlacementNone {
		return nil, nil, usage(cmd, errors.New("rules.placement is none, so there are no packet rules: say in the configuration, or with "+
			"--rules.placement, where the proxy stands: router, server, client or pod"))
	}
	s := rulesSettings(cfg)
	s.By = by
	plan, err := rules.New(s)
	return cfg, plan, err
}

// kept is the state of this network namespace, locked.
type kept struct {
	file string
	lock *rules.Lock
}

// keep takes the right to change rules, or says what stands against it.
func keep(cfg *config.Config) (*kept, error) {
	if err := rules.Allowed(); err != nil {
		return nil, &hintedError{err, "run it as root, as with sudo; \"whyreset rules show\" takes no privilege"}
	}
	file, err := rules.StateFile(cfg.Rules.StateDir)
	if err != nil {
		return nil, err
	}
	lock, err := rules.NewLock(file)
	var held *rules.HeldError
	switch {
	case errors.As(err, &held) && held.Process != 0:
		return nil, &hintedError{err, fmt.Sprintf("stop it, and it takes them away itself: kill %d", held.Process)}
	case errors.As(err, &held):
		return nil, err
	case err != nil:
		return nil, &hintedError{fmt.Errorf("the state of the rules: %w", err), "rules.state_dir says where it is kept: a folder that can be written to"}
	}
	return &kept{file, lock}, nil
}

// hintedError is an error with what to do about it.
type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }
func (e *hintedError) Hint() string  { return e.hint }
