package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// crew is every process that was started, each at the head of a process group of its own.
type crew struct {
	dir     string // for configuration, logs and programs
	members []*member
}

type member struct {
	*exec.Cmd
	said string        // the path of what it wrote to stderr
	gone chan struct{} // closed when it has ended
}

func (c *crew) start(name string, cmd *exec.Cmd) (*member, error) {
	m := &member{Cmd: cmd, said: filepath.Join(c.dir, name+".err"), gone: make(chan struct{})}
	said, err := os.Create(m.said)
	if err != nil {
		return nil, err
	}
	defer said.Close()
	cmd.Stderr, cmd.SysProcAttr = said, attributes()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c.members = append(c.members, m)
	go func() {
		cmd.Wait()
		close(m.gone)
	}()
	return m, nil
}

// child is this program again, being something whose processor time is not to be counted as anybody's.
type child struct {
	*member
	in, out *os.File // its stdin and stdout
	lines   *bufio.Reader
}

func (c *crew) startRole(role, order string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	stdin, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer stdin.Close()
	out, stdout, err := os.Pipe()
	if err != nil {
		in.Close()
		return nil, err
	}
	defer stdout.Close()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleVar+"="+role+" "+order)
	cmd.Stdin, cmd.Stdout = stdin, stdout
	m, err := c.start(role, cmd)
	if err != nil {
		in.Close()
		out.Close()
		return nil, err
	}
	return &child{m, in, out, bufio.NewReader(out)}, nil
}

// line waits for what the child says next.
func (c *child) line(ctx context.Context, patience time.Duration) (string, error) {
	c.out.SetReadDeadline(time.Now().Add(patience))
	defer context.AfterFunc(ctx, func() { c.out.SetReadDeadline(time.Now()) })()
	text, err := c.lines.ReadString('\n')
	switch {
	case ctx.Err() != nil:
		return "", errStopped
	case err != nil:
		return "", c.fault(fmt.Errorf("no answer from a child process: %w", err))
	}
	return strings.TrimSuffix(text, "\n"), nil
}

// close has the child end.
func (c *child) close() {
	c.in.Close()
	c.out.Close()
	c.stop(time.Second)
}

// fault says what a member wrote to stderr, after what went wrong.
func (m *member) fault(err error) error {
	said, _ := os.ReadFile(m.said)
	return fmt.Errorf("%w\n%s", err, said)
}

// stop ends the whole group: first in its own way, for nginx's workers end with their master, then the hard one.
func (m *member) stop(patience time.Duration) {
	syscall.Kill(-m.Process.Pid, syscall.SIGTERM)
	select {
	case <-m.gone:
	case <-time.After(patience):
	}
	syscall.Kill(-m.Process.Pid, syscall.SIGKILL)
	<-m.gone
}

func (c *crew) stop() {
	for _, m := range c.members {
		m.stop(2 * time.Second)
	}
}

var errStopped = errors.New("stopped by a signal")

// sleep returns early when the run is over.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return errStopped
	case <-time.After(d):
		return nil
	}
}
