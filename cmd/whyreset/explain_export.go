package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"whyreset/diagnose"
	"whyreset/diagnose/replay"
)

// explainExport writes the frames of the connections that were told, once it is known which they are.
type explainExport struct {
	name string
	out  io.Writer
	file *os.File // nil: the standard output
}

// openExport opens what is written to before anything is read, so that what is wrong with it is told at once.
func openExport(cmd *cobra.Command, name string, stdout io.Writer, files []*explainFile) (*explainExport, error) {
	if name == "-" {
		return &explainExport{name: "standard output", out: stdout}, nil
	}
	if info, err := os.Stat(name); err == nil {
		for _, f := range files {
			if f.info != nil && os.SameFile(info, f.info) {
				return nil, usage(cmd, fmt.Errorf("--write-pcapng %s: this is the input %s, which would be lost; name another file", name, f.name))
			}
		}
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("--write-pcapng %w", notRead(name, err))
	}
	return &explainExport{name: name, out: file, file: file}, nil
}

// exportComment is the verdict as Wireshark shows it beside the packet.
func exportComment(v *diagnose.Verdict) string {
	lines := []string{fmt.Sprintf("whyreset: %s, %v; side %s, made by %s", v.Cause, v.Confidence, v.Side, v.Origin), v.Sentence}
	for _, c := range v.For {
		lines = append(lines, "- "+c.Says)
	}
	return strings.Join(lines, "\n")
}

// copy writes what was chosen of one file. Where the file is damaged was told when it was read first.
func (x *explainExport) copy(w *replay.Writer, c *explainCapture, p capturePart) (frames int, err error) {
	in, closeFile, err := p.file.open(context.Background(), new(atomic.Int64))
	if err != nil {
		return 0, err
	}
	defer closeFile()
	in.Capture.Continue(p.before)
	frames, err = replay.Extract(in.Capture, w, &c.selected)
	var damaged *replay.FormatError
	if errors.As(err, &damaged) {
		err = nil
	}
	return frames, err
}

// write reads the captures once more.
func (x *explainExport) write(e *explainer) error {
	w := replay.NewWriter(x.out)
	frames := 0
	for _, c := range e.captures {
		for _, p := range c.parts {
			n, err := x.copy(w, c, p)
			frames += n
			if err != nil {
				return fmt.Errorf("%s: %w", x.name, err)
			}
		}
	}
	err := w.Flush()
	if x.file != nil {
		if closed := x.file.Close(); err == nil {
			err = closed
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", x.name, err)
	}
	fmt.Fprintf(e.stderr, "whyreset: %s written to %s\n", plural(frames, "frame"), x.name)
	return nil
}
