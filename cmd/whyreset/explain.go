package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"whyreset/diagnose/cause"
	"whyreset/diagnose/record"
)

// explainOptions are the flags of explain.
type explainOptions struct {
	format string
	all    bool
	limit  int
	pcapng string
	filter explainFilter
}

func newExplainCommand() *cobra.Command {
	var o explainOptions
	var hosts, ports, causes, sides []string
	cmd := &cobra.Command{
		Use:   "explain FILE...",
		Short: "Explain the resets in packet captures and in old records",
		Long: `Reads packet captures, and records that whyreset wrote, and explains each connection that did not end clean: who cut
it, why, how sure that is, whether it hurt, and what to do. It needs no privilege, no configuration and no proxy.

A file is what its first bytes say, whatever its name: a pcap or pcapng capture, or text with records in it, one a
line, other lines between them or not; each plain or within gzip or zstd. FILE "-" is the standard input. Of several
captures each is explained for itself, but for the parts of one that was written in parts: their names differ in
digits only, and each begins where another ended. Where captures of two places hold the same connection, the console
names the resets that only one of them has: they were made, or lost, between. Client is who sent the SYN; "upstream" is
the server's side, "downstream" the client's.

Records are explained anew with what this version knows. Where that is another verdict than the record's own, both
are told; in JSON the old one stands in whyreset.earlier.

On the console a line for each cause comes first, then the connections with the evidence, what to do, and the last
packets. At most --limit connections of each cause are told, so that what must be kept until the end stays small;
--limit 0 tells all as they are found, and the lines for the causes last. With --format json there is one record for
each connection, the same as "whyreset run" writes, with whyreset.capture about its first RST, as it is found.

--write-pcapng writes the frames of the connections told to a capture of their own, the verdict as a comment of the
packet with the reset; Wireshark shows it and finds it by frame.comment. The input is read once more for it; standard
input goes through a temporary file.

Memory follows the number of connections that live at the same time in a capture, about 6 kB for each, not its size;
--write-pcapng takes about 1.5 kB more for each connection that it writes.

` + exitCodes + `
Here 1 means that a file could not be read, or not to its end (all up to there is explained, and the place is told),
or that it was interrupted (what was found until then is told). Nothing to explain is 0.`,
		Example: `  whyreset explain trace.pcap
  tcpdump -w - 'tcp or icmp or icmp6' | whyreset explain -
  whyreset explain /var/log/whyreset/*.json.gz --side upstream --format json
  whyreset explain trace.pcapng --port 5432 --cause app_abort,app_close_unread --write-pcapng resets.pcapng`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(cmd, errors.New("which file? Name captures or records, or - for the standard input"))
			}
			if err := o.check(hosts, ports, causes, sides); err != nil {
				return usage(cmd, err)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop) // a second one ends the program
			e := &explainer{ctx: ctx, options: &o, stdin: cmd.InOrStdin(), stdout: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr(),
				by: record.Identity{Version: version()}}
			return e.run(cmd, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "auto", "console, json, or auto: console on a terminal, else json")
	f.BoolVar(&o.all, "all", false, "tell every connection, also those that ended clean or go on")
	f.IntVar(&o.limit, "limit", 100, "tell at most so many connections of each cause on the console; 0: all")
	f.StringVar(&o.pcapng, "write-pcapng", "", "write the connections told to this `FILE`, with comments; - is the standard output")
	f.StringSliceVar(&hosts, "host", nil, "only connections of this `ADDRESS`, or of a network like 10.0.0.0/8; repeatable")
	f.StringSliceVar(&ports, "port", nil, "only connections with this `PORT` at either end; repeatable")
	f.StringSliceVar(&causes, "cause", nil, "only connections that ended by this cause, by `ID`; repeatable")
	f.StringSliceVar(&sides, "side", nil, "only connections that ended on this `SIDE`: upstream, downstream, proxy or unknown; repeatable")
	cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(explainFormats, cobra.ShellCompDirectiveNoFileComp))
	cmd.RegisterFlagCompletionFunc("side", cobra.FixedCompletions(explainSides, cobra.ShellCompDirectiveNoFileComp))
	cmd.RegisterFlagCompletionFunc("cause", func(*cobra.Command, []string, string) (ids []string, _ cobra.ShellCompDirective) {
		for _, c := range cause.All() {
			ids = append(ids, c.ID+"\t"+c.Title)
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	})
	for _, name := range []string{"limit", "host", "port"} {
		cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	return cmd
}

var explainFormats = []string{"auto", "console", "json"}

// check takes in the flags and tells all that is wrong with them.
func (o *explainOptions) check(hosts, ports, causes, sides []string) error {
	var errs []error
	if !contains(explainFormats, o.format) {
		errs = append(errs, fmt.Errorf("--format %s: allowed are console, json and auto", o.format))
	}
	if o.limit < 0 {
		errs = append(errs, fmt.Errorf("--limit %d: allowed are 0, for no limit, and more", o.limit))
	}
	return errors.Join(append(errs, o.filter.read(hosts, ports, causes, sides))...)
}
