package main

import (
	"errors"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"whyreset/diagnose/render"
	"whyreset/proxy/kernel"
)

// open makes ready what is written to.
func (e *explainer) open(cmd *cobra.Command, files []*explainFile) error {
	report := e.stdout
	if e.options.pcapng != "" {
		if !slices.ContainsFunc(files, func(f *explainFile) bool { return f.capture || f.once != nil }) {
			return usage(cmd, errors.New("--write-pcapng: there is no capture among the files, and records hold no frames"))
		}
		if e.options.pcapng == "-" {
			report = e.stderr
		}
		export, err := openExport(cmd, e.options.pcapng, e.stdout, files)
		if err != nil {
			return err
		}
		e.export = export
		for _, f := range files {
			if err := f.keep(); err != nil {
				return err
			}
		}
	}
	style, terminal := styleOf(report)
	if e.options.format == "json" || e.options.format == "auto" && !terminal {
		e.teller = newExplainJSON(report)
	} else {
		e.teller = newExplainConsole(e, report, style)
	}
	return nil
}

// styleOf is how to write to w: on a terminal in its width, and in colours unless NO_COLOR (no-color.org) forbids them.
func styleOf(w io.Writer) (s render.Style, terminal bool) {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		s.Width = n
	}
	if !isTerminal(w) {
		return s, false
	}
	s.Colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if s.Width == 0 {
		s.Width = kernel.TerminalWidth(int(w.(*os.File).Fd()))
	}
	return s, true
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
