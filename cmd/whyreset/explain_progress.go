package main

import (
	"fmt"
	"io"
	"time"

	"whyreset/diagnose/render"
)

// explainProgress shows on a terminal how far the reading has come.
type explainProgress struct {
	quit, gone chan struct{}
}

const (
	progressAfter = time.Second // what takes less needs none
	progressEvery = 200 * time.Millisecond
	clearLine     = "\r\x1b[K"
)

// startProgress begins to show it, if standard error is a terminal and nothing else is written there meanwhile.
func (e *explainer) startProgress(files []*explainFile) *explainProgress {
	p := &explainProgress{quit: make(chan struct{}), gone: make(chan struct{})}
	console, ok := e.teller.(*explainConsole)
	held := ok && console.limit > 0
	if !isTerminal(e.stderr) || !held && isTerminal(e.stdout) {
		close(p.gone)
		return p
	}
	all := int64(0)
	for _, f := range files {
		if f.once != nil {
			all = 0
			break
		}
		all += f.info.Size()
	}
	terminal := e.stderr
	e.stderr = overProgress{terminal}
	go p.show(e, terminal, all)
	return p
}

// overProgress writes in the place of the line that shows the progress.
type overProgress struct{ terminal io.Writer }

func (o overProgress) Write(b []byte) (int, error) {
	_, err := o.terminal.Write(append([]byte(clearLine), b...))
	return len(b), err
}

func (p *explainProgress) show(e *explainer, terminal io.Writer, all int64) {
	defer close(p.gone)
	start := time.Now()
	for wait := progressAfter; ; wait = progressEvery {
		select {
		case <-p.quit:
			if wait == progressEvery {
				io.WriteString(terminal, clearLine)
			}
			return
		case <-time.After(wait):
		}
		read := e.read.Load()
		rate := uint64(float64(read) / time.Since(start).Seconds())
		share := render.Size(uint64(read))
		if all > 0 {
			share = fmt.Sprintf("%d %% of %s", min(100, 100*read/all), render.Size(uint64(all)))
		}
		fmt.Fprintf(terminal, "%s%s, %s/s, %s told", clearLine, share, render.Size(rate), plural(int(e.told.Load()), "connection"))
	}
}

func (p *explainProgress) stop() {
	close(p.quit)
	<-p.gone
}
