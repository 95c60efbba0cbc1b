package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"whyreset/proxy/rules"
)

func newRulesShowCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print what apply would do, and what comes of it",
		Long: `Prints the packet rules and routes, the kernel parameters they need, what becomes of connections when no proxy runs, why
the proxy's own connections do not come back to it, and what it needs to run. It changes nothing and takes no privilege.

--format script prints a shell script that does by hand, with nft and ip, what apply does.

` + exitCodes,
		Example: `  whyreset rules show --config whyreset.yaml
  whyreset rules show --format script > rules.sh`,
		Args:              arguments(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			print, ok := map[string]func(io.Writer, *rules.Plan) error{"text": planText, "json": planJSON, "script": planScript}[format]
			if !ok {
				return usage(cmd, fmt.Errorf("--format %s: allowed are text, json and script", format))
			}
			_, plan, err := loadPlan(cmd, "whyreset rules show")
			if err != nil {
				return err
			}
			return print(cmd.OutOrStdout(), plan)
		},
	}
	configFlags(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "text, json for one object, or script")
	cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json", "script"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func planScript(w io.Writer, plan *rules.Plan) error {
	_, err := io.WriteString(w, plan.Script())
	return err
}

func planText(w io.Writer, plan *rules.Plan) error {
	var b strings.Builder
	s := plan.Settings()
	fmt.Fprintf(&b, "placement %s\n", s.Placement)
	for i, c := range s.Captures {
		fmt.Fprintf(&b, "\n%s: mode %s, source %s, to the listener on port %d\n", c.Name, c.Mode, c.Source, c.Port)
		b.WriteString(wrap("takes "+takes(c), "  ") + "\n")
		b.WriteString(wrap("without a proxy: "+plan.WhenDead()[i].Text, "  ") + "\n")
	}
	item := func(title string, texts ...string) {
		if len(texts) > 0 {
			b.WriteString("\n" + title + "\n")
		}
		for _, text := range texts {
			b.WriteString(wrap(text, "  - ") + "\n")
		}
	}
	item("Why the proxy's own connections do not come back to it", plan.Exemption())
	item("What the proxy needs to run", append(plan.Capabilities(), "to apply and to remove the rules: CAP_NET_ADMIN")...)
	var sysctls []string
	for _, p := range plan.Sysctls() {
		sysctls = append(sysctls, fmt.Sprintf("%s=%s, which is %s now: %s", p.Key, p.Value, sysctl(p.Key), p.Why))
	}
	if len(sysctls) > 0 && !s.SetSysctls {
		sysctls = append(sysctls, "set them yourself, or let apply do it, and remove put them back, with --rules.sysctls set")
	}
	item("Kernel parameters", sysctls...)
	item("To know", plan.Notes()...)
	b.WriteString("\nWhat apply does, as commands\n\n")
	for _, line := range strings.Split(strings.TrimSuffix(plan.Commands(), "\n"), "\n") {
		b.WriteString(strings.TrimRight("  "+line, " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// takes says which connections a capture is about.
func takes(c rules.Capture) string {
	var ports []string
	for _, r := range c.Ports {
		if r.First == r.Last {
			ports = append(ports, fmt.Sprint(r.First))
		} else {
			ports = append(ports, fmt.Sprintf("%d-%d", r.First, r.Last))
		}
	}
	text := "connections to port " + strings.Join(ports, ", ")
	if len(c.Allow) > 0 {
		text += " of " + joined(c.Allow)
	}
	if len(c.Deny) > 0 {
		text += ", but not of " + joined(c.Deny)
	}
	by := "all interfaces but lo"
	if len(c.Interfaces) > 0 {
		by = strings.Join(c.Interfaces, ", ")
	}
	text += ", by " + by
	if c.Only != "" {
		text += ", " + string(c.Only) + "going"
		text = strings.Replace(text, "ingoing", "incoming", 1)
	}
	return text
}

func joined[T fmt.Stringer](all []T) string {
	var texts []string
	for _, one := range all {
		texts = append(texts, one.String())
	}
	return strings.Join(texts, ", ")
}

// sysctl is the value of a kernel parameter.
func sysctl(key string) string {
	text, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(key, ".", "/"))
	if err != nil {
		return "not to be read"
	}
	return strings.TrimSpace(string(text))
}

func planJSON(w io.Writer, plan *rules.Plan) error {
	type capture struct {
		Listener   string `json:"listener"`
		Mode       string `json:"mode"`
		Source     string `json:"source"`
		Port       uint16 `json:"port"`
		Takes      string `json:"takes"`
		FailOpen   bool   `json:"fail_open"`
		WithoutOne string `json:"without_proxy"`
	}
	type parameter struct {
		Key   string `json:"key"`
		Value string `json:"value"`
		Now   string `json:"now"`
		Why   string `json:"why"`
	}
	s := plan.Settings()
	out := struct {
		Placement    string      `json:"placement"`
		Captures     []capture   `json:"captures"`
		Exemption    string      `json:"exemption"`
		Capabilities []string    `json:"capabilities"`
		Sysctls      []parameter `json:"sysctls"`
		SetSysctls   bool        `json:"set_sysctls"`
		Notes        []string    `json:"notes"`
		Table        string      `json:"table"`
		Script       string      `json:"script"`
	}{Placement: string(s.Placement), Exemption: plan.Exemption(), Capabilities: append([]string{}, plan.Capabilities()...),
		Sysctls: []parameter{}, SetSysctls: s.SetSysctls, Notes: append([]string{}, plan.Notes()...), Table: plan.Table(), Script: plan.Script()}
	for i, c := range s.Captures {
		dead := plan.WhenDead()[i]
		out.Captures = append(out.Captures, capture{c.Name, string(c.Mode), string(c.Source), c.Port, takes(c), dead.Open, dead.Text})
	}
	for _, p := range plan.Sysctls() {
		out.Sysctls = append(out.Sysctls, parameter{p.Key, p.Value, sysctl(p.Key), p.Why})
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}
