package scenario

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"time"
)

// process is this program in another process, playing a part. It ends when its standard input is closed.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Reader
}

func startPart(on host, program Program, part string, files ...*os.File) (*process, error) {
	cmd := program(part)
	cmd.ExtraFiles = files
	if cmd.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := on.Start(cmd); err != nil {
		return nil, fmt.Errorf("starting the part %q: %w", part, err)
	}
	return &process{cmd: cmd, stdin: in, lines: bufio.NewReader(out)}, nil
}

// Kill is SIGKILL, and returns when the process is gone and the kernel has closed its sockets.
func (p *process) Kill() {
	p.cmd.Process.Kill()
	p.stdin.Close()
	p.cmd.Wait() // that it was killed is no news
}

// proxyProcess is a proxy playing its part.
type proxyProcess struct {
	*process
	address netip.AddrPort
	reports []Report // complete when done is closed
	err     error
	first   chan struct{} // closed when there is a report
	done    chan struct{}
}

func startProxy(on host, program Program, o Order) (*proxyProcess, error) {
	part, err := startPart(on, program, "proxy")
	if err != nil {
		return nil, err
	}
	p := &proxyProcess{process: part, first: make(chan struct{}), done: make(chan struct{})}
	var first told
	err = json.NewEncoder(p.stdin).Encode(o)
	if err == nil {
		err = p.next(&first)
	}
	if err == nil && first.Address == nil {
		err = errors.New(first.Error)
	}
	if err != nil {
		p.Kill()
		return nil, fmt.Errorf("the proxy did not start: %w", err)
	}
	p.address = *first.Address
	go p.listen()
	return p, nil
}

func (p *proxyProcess) next(t *told) error {
	line, err := p.lines.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, t)
}

func (p *proxyProcess) listen() {
	defer close(p.done)
	for {
		var t told
		switch err := p.next(&t); {
		case err == io.EOF:
			return
		case err != nil:
			p.err = err
			return
		case t.Report != nil:
			if p.reports = append(p.reports, *t.Report); len(p.reports) == 1 {
				close(p.first)
			}
		}
	}
}

// awaitReport waits until the proxy has told of a connection.
func (p *proxyProcess) awaitReport() {
	select {
	case <-p.first:
	case <-p.done:
	case <-time.After(patience):
	}
}

// stop tells the proxy to stop and returns when it has ended.
func (p *proxyProcess) stop() {
	p.stdin.Close()
	stuck := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	defer stuck.Stop()
	<-p.done
	p.cmd.Wait()
}
