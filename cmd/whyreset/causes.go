package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"whyreset/diagnose/cause"
)

func newCausesCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "causes [ID]",
		Short: "Explain a cause, or list them all",
		Long: `Without an ID it lists the catalogue of causes. With one it explains it: what happened, what looks like it and
how to tell, and what to do. IDs stand in the records as event.code; they never change.

` + exitCodes,
		Example: `  whyreset causes
  whyreset causes app_close_unread
  whyreset causes --format json`,
		Args: arguments(cobra.MaximumNArgs(1)),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var ids []string
			for _, c := range cause.All() {
				ids = append(ids, c.ID+"\t"+c.Title)
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			causes := cause.All()
			if len(args) == 1 {
				c, ok := cause.ByID(args[0])
				if !ok {
					return usage(cmd, fmt.Errorf("there is no cause %q%s", args[0], similar(args[0])))
				}
				causes = []cause.Cause{c}
			}
			out := cmd.OutOrStdout()
			switch {
			case format == "json":
				return causesJSON(out, causes)
			case format != "text":
				return usage(cmd, fmt.Errorf("--format %s: allowed are text and json", format))
			case len(args) == 1:
				return explain(out, causes[0])
			}
			return list(out, causes)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text, or json for one object a line")
	cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// similar says which cause was meant, or where they stand.
func similar(typed string) string {
	var ids []string
	for _, c := range cause.All() {
		ids = append(ids, c.ID)
	}
	if near := meant(strings.ReplaceAll(typed, "-", "_"), ids); near != "" {
		return near
	}
	return "; whyreset causes lists them"
}

func list(w io.Writer, causes []cause.Cause) error {
	var b strings.Builder
	for _, c := range causes {
		fmt.Fprintf(&b, "%-22s %-12s %s\n", c.ID, c.Origin, c.Title)
	}
	b.WriteString("\nwhyreset causes ID explains one.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// explain writes one cause as a compiler explains an error code.
func explain(w io.Writer, c cause.Cause) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n%s\n", c.ID, c.Title, wrap(c.Text, ""))
	b.WriteString("\nWho made it: " + madeBy[c.Origin] + "\n\nWhat to do\n")
	for _, a := range c.Advice {
		b.WriteString(wrap(a, "  - ") + "\n")
	}
	if len(c.Alike) > 0 {
		b.WriteString("\nWhat looks like it\n")
		for _, a := range c.Alike {
			b.WriteString(wrap(a.ID+": "+a.Tell, "  - ") + "\n")
		}
	}
	if c.HAProxy != "" || c.Envoy != "" || c.IETF != 0 {
		b.WriteString("\nOther words for it\n")
		for _, other := range [][2]string{{"HAProxy", c.HAProxy}, {"Envoy", c.Envoy}, {"IETF reset cause code", code(c.IETF)}} {
			if other[1] != "" {
				fmt.Fprintf(&b, "  - %s: %s\n", other[0], other[1])
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

var madeBy = map[cause.Origin]string{
	cause.Application: "the application at the other end",
	cause.Host:        "the peer's host: its TCP stack, not an application",
	cause.Path:        "a device between",
	cause.Network:     "nobody: silence, or no way there",
	cause.Local:       "this host",
	cause.Proxy:       "whyreset itself",
	cause.Unknown:     "not known",
}

func code(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// wrap breaks text at 96 columns; what follows the first line is indented under it.
func wrap(text, indent string) string {
	const width = 96
	line, out := indent, ""
	for i, word := range strings.Fields(text) {
		if i > 0 && len(line)+1+len(word) > width {
			out += line + "\n"
			line = strings.Repeat(" ", len(indent)) + word
			continue
		}
		if i > 0 {
			line += " "
		}
		line += word
	}
	return out + line
}

func causesJSON(w io.Writer, causes []cause.Cause) error {
	type alike struct {
		ID   string `json:"id"`
		Tell string `json:"tell"`
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, c := range causes {
		same := make([]alike, 0, len(c.Alike))
		for _, a := range c.Alike {
			same = append(same, alike(a))
		}
		if err := enc.Encode(struct {
			ID      string       `json:"id"`
			Origin  cause.Origin `json:"origin"`
			Title   string       `json:"title"`
			Text    string       `json:"text"`
			Advice  []string     `json:"advice"`
			Alike   []alike      `json:"alike"`
			IETF    int          `json:"ietf,omitempty"`
			HAProxy string       `json:"haproxy,omitempty"`
			Envoy   string       `json:"envoy,omitempty"`
		}{c.ID, c.Origin, c.Title, c.Text, c.Advice, same, c.IETF, c.HAProxy, c.Envoy}); err != nil {
			return err
		}
	}
	return nil
}
