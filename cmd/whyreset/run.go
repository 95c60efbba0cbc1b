package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"whyreset/config"
	"whyreset/diagnose/record"
	"whyreset/proxy"
	"whyreset/proxy/telemetry"
)

func newRunCommand() *cobra.Command {
	var only string
	var withRules, supervised bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Carry connections, and record how each one ended and why",
		Long: `Runs the proxy until it is told to stop. Each connection that ended becomes one record: a JSON line, or, on a
terminal, a line for people with the explanation below it.

Signals:

    SIGINT, SIGTERM  stop: no new connections, timeouts.stop_grace for those there, then resets;
                     a second one resets them at once
    SIGHUP           read the configuration again, look the names up again and open the log file
                     again; no connection is cut

With --rules a second, small process keeps CAP_NET_ADMIN. It applies the packet rules that "whyreset rules show" prints once
the proxy listens, and removes them when the proxy has ended, in whatever way, also by kill -9. New connections go direct
then. It passes on signals, and its exit code is the proxy's. If it is killed itself, the proxy carries on and says so in
its log, and the rules stay until the next start or "whyreset rules remove".

` + exitCodes,
		Example: `  whyreset run --forward 15432=db:5432
  whyreset run --forward 127.0.0.1:8080=10.0.0.5:80 --timeouts.connect 3s --only harmful
  whyreset run --config whyreset.yaml --log.output /var/log/whyreset/whyreset.json
  sudo whyreset run --rules --config whyreset.yaml --rules.placement router`,
		Args:              arguments(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if only != string(telemetry.All) && only != string(telemetry.Harmful) {
				return usage(cmd, fmt.Errorf("--only %s: allowed are all and harmful", only))
			}
			if withRules && !supervised {
				return runWithRules(cmd)
			}
			cfg, _, err := load(cmd, true)
			if err != nil {
				return err
			}
			var by *supervisor
			if supervised {
				by = newSupervisor()
			}
			return serve(cmd, cfg, telemetry.Only(only), by)
		},
	}
	configFlags(cmd)
	cmd.Flags().StringVar(&only, "only", string(telemetry.All), "record all endings, or only harmful ones: `all|harmful`")
	cmd.Flags().BoolVar(&withRules, "rules", false, "apply the packet rules while the proxy runs; needs CAP_NET_ADMIN")
	cmd.Flags().BoolVar(&supervised, supervisedFlag, false, "be the proxy of run --rules")
	cmd.Flags().MarkHidden(supervisedFlag)
	cmd.RegisterFlagCompletionFunc("only", cobra.FixedCompletions([]string{"all", "harmful"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// lastRecords bounds how long the exit waits for a log that takes nothing.
const lastRecords = 3 * time.Second

// serve runs the proxy until a signal ends it.
func serve(cmd *cobra.Command, cfg *config.Config, only telemetry.Only, by *supervisor) error {
	// Before anything is opened: a signal from now on finds somebody.
	own := make(chan os.Signal, 4)
	signal.Notify(own, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(own)

	log, err := telemetry.Open(logOptions(cfg, only))
	if errors.Is(err, os.ErrPermission) {
		return &hintedError{err, fmt.Sprintf("let user %d write there, or choose another log.output", os.Geteuid())}
	} else if err != nil {
		return err
	}
	closeLog := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), lastRecords)
		defer cancel()
		return log.Close(ctx)
	}
	server, err := proxy.New(cfg, log)
	if err != nil {
		closeLog()
		return err
	}
	server.Confine()
	server.Start()
	by.listening()
	signals := by.signals(own, log)
	for sig := range signals {
		if sig != syscall.SIGHUP {
			break
		}
		reload(cmd, server, log, only)
	}
	stop(server, signals)
	return closeLog()
}

func logOptions(cfg *config.Config, only telemetry.Only) telemetry.Options {
	return telemetry.Options{
		Output: cfg.Log.Output, Format: telemetry.Format(cfg.Log.Format), Only: only, SampleClean: cfg.Log.SampleClean,
		By: record.Identity{Version: version()},
	}
}

// stop gives the connections their time; another signal takes it away.
func stop(server *proxy.Server, signals <-chan os.Signal) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if grace := server.Config().Timeouts.StopGrace; grace > 0 {
		ctx, cancel = context.WithTimeout(ctx, grace)
		defer cancel()
	}
	go hurry(ctx, cancel, signals)
	server.Stop(ctx)
}

func hurry(ctx context.Context, now func(), signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case sig := <-signals:
			if sig != syscall.SIGHUP {
				now()
				return
			}
		}
	}
}

// reload reads the configuration again. A wrong one is told, and nothing changes; the log file is opened
// again in any case, for that is what rotation sends the signal for.
func reload(cmd *cobra.Command, server *proxy.Server, log *telemetry.Writer, only telemetry.Only) {
	if err := log.Reopen(); err != nil {
		log.Notice(record.Notice{Level: record.Error, Code: record.ReopenFailed, Message: "the log file could not be opened again", Error: err.Error()})
	}
	cfg, _, err := load(cmd, true)
	if err == nil {
		err = log.Configure(logOptions(cfg, only))
	}
	if err != nil {
		log.Notice(record.Notice{Level: record.Error, Code: record.ReloadFailed, Message: "the new configuration was refused, the old one stays",
			Error: strings.ReplaceAll(err.Error(), "\n", "; ")})
		return
	}
	var changes []string
	for _, c := range server.Reload(cfg) {
		changes = append(changes, c.String())
	}
	text := "the configuration was read again, nothing has changed"
	if len(changes) > 0 {
		text = "the configuration was read again: " + strings.Join(changes, "; ")
	}
	log.Notice(record.Notice{Level: record.Info, Code: record.Reloaded, Message: text})
}
