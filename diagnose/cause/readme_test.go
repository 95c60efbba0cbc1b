package cause

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write README.md anew")

// page is README.md: the catalogue as a person reads it.
func page() string {
	var b strings.Builder
	b.WriteString(`# The causes

Made from the files of this folder by ` + "`go test ./diagnose/cause -update`" + `. The IDs stand in the records as
` + "`event.code`" + ` and ` + "`whyreset.verdict.cause`" + `; they are never renamed and never used again for something else.
` + "`whyreset causes ID`" + ` prints the same.

Causes of one family send the same packets and may be impossible to tell apart; a verdict names the others of its
family as alternatives:
`)
	for _, f := range Families {
		if len(f) > 1 {
			fmt.Fprintf(&b, "%s\n", "- "+strings.Join(f, ", "))
		}
	}
	b.WriteString("\n| cause | who made it | in short | HAProxy | Envoy | IETF |\n|---|---|---|---|---|---|\n")
	for _, c := range All() {
		ietf := ""
		if c.IETF != 0 {
			ietf = fmt.Sprint(c.IETF)
		}
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s | %s | %s |\n", c.ID, c.ID, c.Origin, c.Title, c.HAProxy, c.Envoy, ietf)
	}
	for _, c := range All() {
		fmt.Fprintf(&b, "\n## %s\n\n**%s.** %s\n\nWhat to do:\n\n", c.ID, strings.ToUpper(c.Title[:1])+c.Title[1:], c.Text)
		for _, a := range c.Advice {
			b.WriteString("- " + a + "\n")
		}
		if len(c.Alike) > 0 {
			b.WriteString("\nWhat looks like it:\n\n")
			for _, a := range c.Alike {
				fmt.Fprintf(&b, "- `%s`: %s\n", a.ID, a.Tell)
			}
		}
	}
	b.WriteString("\n## Known timers\n\nDefaults of products in wide use. A verdict names those that fit both the silence and the shape of the end:\n" +
		"A a side ends an idle connection, B our first bytes after a silence are answered with a reset, C they meet silence,\n" +
		"D bytes cross with the FIN, E an end while an answer is outstanding. Unverified ones are marked and never told alone.\n\n" +
		"| seconds | product | setting | runs in | shapes | source |\n|---:|---|---|---|---|---|\n")
	for _, t := range KnownTimers {
		source := t.Source
		if !t.Verified {
			source = "not verified"
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %s |\n", int(t.Value.Seconds()), t.Product, t.Setting,
			map[Holder]string{ByServer: "server", ByClient: "client", ByPath: "path"}[t.Holder], t.Shapes, source)
	}
	return b.String()
}

func TestReadme(t *testing.T) {
	if *update {
		if err := os.WriteFile("README.md", []byte(page()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile("README.md"); err != nil || string(got) != page() {
		t.Errorf("README.md is stale (%v): go test ./diagnose/cause -update", err)
	}
}

// The words are for people in trouble: each cause must say what it is, what to do, and what it is not.
func TestCatalogueSaysEnough(t *testing.T) {
	ids := map[string]bool{}
	for _, c := range All() {
		ids[c.ID] = true
	}
	for i, c := range All() {
		if i > 0 && All()[i-1].ID == c.ID {
			t.Errorf("%s stands twice", c.ID)
		}
		if c.Title == "" || len(c.Text) < 60 || len(c.Advice) == 0 || c.Origin == "" || c.Rule == nil {
			t.Errorf("%s does not say enough", c.ID)
		}
		for _, text := range append(slices.Clone(c.Advice), c.Title) {
			if strings.HasSuffix(text, ".") {
				t.Errorf("%s: %q ends with a full stop", c.ID, text)
			}
		}
	}
	// What others are called may be built later; families and beaten causes are of the design's catalogue.
	for _, f := range Families {
		if !ids[f[0]] && f[0] != "injected_reset" {
			t.Errorf("the family %q begins with a cause that does not exist", f)
		}
	}
}

func TestTimersAreWhole(t *testing.T) {
	for _, timer := range KnownTimers {
		if timer.Value <= 0 || timer.Product == "" || timer.Holder == 0 || strings.Trim(timer.Shapes, "ABCDE") != "" || timer.Shapes == "" {
			t.Errorf("a timer lacks something: %+v", timer)
		}
		if timer.Verified != (timer.Source != "") {
			t.Errorf("verified is what has a source: %+v", timer)
		}
	}
	if !slices.IsSortedFunc(KnownTimers, func(a, b Timer) int { return int(a.Value - b.Value) }) {
		t.Error("the timers are not in order of their values")
	}
}
