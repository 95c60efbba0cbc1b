package config

import (
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Show prints the effective configuration as a file that Load would read to the
// same effect; with origins, each key says in a comment where its value came
// from. The struct is printed, not viper's view of it, which forgets what only
// the environment set.
func Show(c *Config, origins Origins, withOrigin bool) string {
	p := printer{}
	if withOrigin {
		p.beside = func(path string) string { return origins.Of(path).String() }
	}
	p.config(c)
	return p.String()
}

// DefaultYAML is the default configuration as a file in which every key is
// explained.
func DefaultYAML() string {
	p := printer{above: func(path string) string { return keyDoc[path] }}
	p.comment("", "Configuration of whyreset. Every value below is the default.\n"+
		"A variable WHYRESET_SECTION_KEY wins over this file, and a flag --section.key over both.")
	p.config(Defaults())
	return p.String()
}

// exampleListeners stands, commented out, where the default has none.
var exampleListeners = []Listener{{
	Name: "db", Mode: ModeForward, Address: "127.0.0.1:15432", Upstream: "db:5432", Source: SourceOwn,
	OwnAddresses: GuardRefuse, LinkLocal: GuardRefuse, Direction: DirectionBoth, OnConflict: ConflictAbortOld,
}}

// printer writes YAML of the one shape a Config has. Comments are its purpose,
// and those of yaml.v3 are neither wrapped nor aligned.
type printer struct {
	above  func(path string) string // comment before a key, nil for none
	beside func(path string) string // comment behind a value, nil for none
	rows   []row
}

type row struct{ text, comment string }

func (p *printer) config(c *Config) {
	root := reflect.ValueOf(c).Elem()
	for _, f := range rootFields() {
		if p.above != nil {
			p.rows = append(p.rows, row{})
			p.explain("", f.path)
		}
		if f.kind == kindList {
			p.listeners(f, c.Listeners)
			continue
		}
		p.rows = append(p.rows, row{text: f.key + ":"})
		p.keys("  ", f.path+".", root.Field(f.index), fieldsOf(f.typ, f.path+"."))
	}
}

func (p *printer) listeners(f field, list []Listener) {
	if len(list) == 0 {
		p.rows = append(p.rows, row{text: f.key + ": []"})
		if p.above != nil {
			p.example(f)
		}
		return
	}
	p.rows = append(p.rows, row{text: f.key + ":"})
	for i, l := range list {
		first := len(p.rows)
		p.keys("    ", fmt.Sprintf("%s[%d].", f.path, i), reflect.ValueOf(l), listenerFields())
		p.rows[first].text = "  - " + strings.TrimPrefix(p.rows[first].text, "    ")
	}
}

// example shows how listeners are written, with what each key means, as comment.
func (p *printer) example(f field) {
	e := printer{}
	e.rows = append(e.rows, row{text: f.key + ":"})
	for _, l := range exampleListeners {
		for i, k := range listenerFields() {
			lead := "    "
			if i == 0 {
				lead = "  - "
			}
			e.comment("    ", keyDoc[k.path])
			e.rows = append(e.rows, row{text: lead + k.key + ": " + yamlText(k.kind, plainValue(reflect.ValueOf(l).Field(k.index)))})
		}
	}
	p.comment("", "For example:")
	for _, r := range e.rows {
		p.rows = append(p.rows, row{text: "#" + r.text})
	}
}

func (p *printer) keys(indent, prefix string, v reflect.Value, fields []field) {
	for _, f := range fields {
		path := prefix + f.key
		p.explain(indent, f.path)
		r := row{text: indent + f.key + ": " + yamlText(f.kind, plainValue(v.Field(f.index)))}
		if p.beside != nil {
			r.comment = p.beside(path)
		}
		p.rows = append(p.rows, r)
	}
}

func (p *printer) explain(indent, path string) {
	if p.above != nil {
		p.comment(indent, p.above(path))
	}
}

// comment adds text as comment lines, wrapped.
func (p *printer) comment(indent, text string) {
	const width = 100
	for _, paragraph := range strings.Split(text, "\n") {
		line := indent + "#"
		for _, word := range strings.Fields(paragraph) {
			if utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width && line != indent+"#" {
				p.rows = append(p.rows, row{text: line})
				line = indent + "#"
			}
			line += " " + word
		}
		p.rows = append(p.rows, row{text: line})
	}
}

// String is the text, with the comments behind values in one column.
func (p *printer) String() string {
	const most = 48 // a long path must not push the comments of all others out of sight
	column := 0
	for _, r := range p.rows {
		if n := utf8.RuneCountInString(r.text); r.comment != "" && n > column && n <= most {
			column = n
		}
	}
	var b strings.Builder
	for _, r := range p.rows {
		b.WriteString(r.text)
		if r.comment != "" {
			b.WriteString(strings.Repeat(" ", max(0, column-utf8.RuneCountInString(r.text))))
			b.WriteString("  # " + printable(r.comment))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
