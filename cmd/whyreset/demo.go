package main

import (
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"whyreset/integration/lab"
	"whyreset/integration/scenario"
)

func newDemoCommand() *cobra.Command {
	var format, part string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Cut connections in many ways and explain each one",
		Long: `Plays clients, servers and firewalls of its own, with and without whyreset between, and shows for each
connection what happened, what the client saw, and what whyreset says.

It needs no configuration and no privilege, and takes some seconds. Nothing leaves this host: where the
kernel lets it, it plays in network namespaces of its own, otherwise on the loopback interface.

With --format json it writes one JSON object a line. "ok" is false when whyreset did not name the truth, or
when the client saw something else than without whyreset. One difference is by design: where connecting
fails, the client of a proxy is connected first and then reset at once. The exit code is 1 if anything was
not ok.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if part != "" {
				return status(scenario.Part(part, startDemoProxy))
			}
			newShow, ok := shows[format]
			if !ok {
				return fmt.Errorf("--format %s: allowed are text and json", format)
			}
			// What is played runs once: here, or in a process that may make network namespaces, of which only the exit code
			// comes back.
			return status(lab.Main(func() int {
				d := demo{scenarios: demoScenarios(), program: playPart, show: newShow(cmd.OutOrStdout())}
				return d.run(cmd.Context(), cmd.ErrOrStderr())
			}))
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text, or json for one object a line")
	cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().StringVar(&part, "play", "", "play a part for another process's demo")
	cmd.Flags().MarkHidden("play")
	return cmd
}

// playPart runs this program once more, to play a part.
func playPart(part string) *exec.Cmd {
	return &exec.Cmd{Path: "/proc/self/exe", Args: []string{os.Args[0], "demo", "--play", part}}
}

// exitStatus is the error of a command that has said everything already: only the exit code is left.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

func status(code int) error {
	if code == 0 {
		return nil
	}
	return exitStatus(code)
}
