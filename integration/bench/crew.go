package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"whyreset/integration/lab"
)

// crew is every process that was started, each at the head of a process group of its own.
type crew struct {
	stage
	dir         string // for configuration, logs and programs
	idle        int    // connections of the work of that name
	ends        []int  // process groups of the backend and of whoever receives logs
	members     []*member
	contestants []contestant
}

type member struct {
	pid    int // also the number of its group
	in     io.WriteCloser
	out    *bufio.Reader
	said   string        // the path of what it wrote to stderr
	gone   chan struct{} // closed when it has ended
	cancel context.CancelFunc
}

// stage is on which hosts of the lab everybody stands; nil: on this machine.
type stage struct {
	clients, relays, servers *lab.Host
}

// start runs a program on a host until ctx is over, or it is stopped.
func (c *crew) start(ctx context.Context, on *lab.Host, name string, env []string, program string, arguments ...string) (*member, error) {
	ctx, cancel := context.WithCancel(ctx)
	m := &member{said: filepath.Join(c.dir, name+".err"), gone: make(chan struct{}), cancel: cancel}
	cmd := exec.CommandContext(ctx, program, arguments...)
	// Not killed at once: nginx's workers end with their master only if it has the time to tell them.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second
	cmd.Env, cmd.SysProcAttr = append(withoutRole(os.Environ()), env...), attributes()
	said, err := os.Create(m.said)
	if err != nil {
		cancel()
		return nil, err
	}
	defer said.Close()
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err == nil {
		m.in, err = cmd.StdinPipe()
	}
	if err == nil && on != nil {
		err = on.Start(cmd)
	} else if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, err
	}
	m.pid, m.out = cmd.Process.Pid, bufio.NewReader(out)
	c.members = append(c.members, m)
	go func() {
		defer close(m.gone)
		cmd.Wait()
		syscall.Kill(-m.pid, syscall.SIGKILL) // whoever of the group did not end with it
	}()
	return m, nil
}

// startRole starts this program again.
func (c *crew) startRole(ctx context.Context, on *lab.Host, role string) (*member, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	name, _, _ := strings.Cut(role, " ")
	return c.start(ctx, on, name, []string{roleVar + "=" + role}, self)
}

// line waits for what the member says next.
func (m *member) line() (string, error) {
	text, err := m.out.ReadString('\n')
	if err != nil {
		return "", m.fault(err)
	}
	return text[:len(text)-1], nil
}

// fault adds what the member wrote to stderr.
func (m *member) fault(err error) error {
	said, _ := os.ReadFile(m.said)
	return fmt.Errorf("%w\n%s", err, said)
}

func (m *member) stop() {
	m.cancel()
	<-m.gone
}

func (c *crew) stop() {
	for _, m := range c.members {
		m.stop()
	}
}
