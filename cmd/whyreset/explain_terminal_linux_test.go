package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// screen is the far end of a pseudo-terminal, and what was shown on it.
type screen struct {
	mu    sync.Mutex
	shown bytes.Buffer
	news  chan struct{} // something was shown
	done  chan struct{} // nothing more will be
}

// newScreen gives the near end of a pseudo-terminal, 90 characters wide.
func newScreen(t *testing.T) (terminal *os.File, s *screen) {
	t.Helper()
	far, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { far.Close() })
	var number, unlock uint32
	size := [4]uint16{25, 90} // struct winsize
	raw, err := far.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		for request, p := range map[uintptr]unsafe.Pointer{
			syscall.TIOCSPTLCK: unsafe.Pointer(&unlock), syscall.TIOCGPTN: unsafe.Pointer(&number), syscall.TIOCSWINSZ: unsafe.Pointer(&size)} {
			if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(p)); errno != 0 {
				t.Skipf("no pseudo-terminals here: %v", errno)
			}
		}
	})
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	s = &screen{news: make(chan struct{}, 1), done: make(chan struct{})}
	go s.read(far)
	return terminal, s
}

// read takes what is shown until nobody has the terminal open any more (EIO).
func (s *screen) read(far io.Reader) {
	defer close(s.done)
	b := make([]byte, 4096)
	for {
		n, err := far.Read(b)
		s.mu.Lock()
		s.shown.Write(b[:n])
		s.mu.Unlock()
		select {
		case s.news <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.String()
}

// On a terminal it tells people without being asked, in colours unless they do not want them, no wider than it is.
func TestExplainOnTerminal(t *testing.T) {
	path := writeGenerated(t, generated{connections: 2, atOnce: 1, segment: 10})
	for name, env := range map[string]string{"colours": "NO_COLOR=", "NO_COLOR": "NO_COLOR=1", "dumb": "TERM=dumb"} {
		t.Run(name, func(t *testing.T) {
			terminal, s := newScreen(t)
			cmd := exec.Command("whyreset", "explain", path)
			cmd.Env = append(os.Environ(), "TERM=xterm", "COLUMNS=", env)
			cmd.Stdout = terminal
			err := cmd.Run()
			terminal.Close()
			<-s.done
			got := s.text()
			if err != nil || !strings.Contains(got, "2 of 2 connections did not end clean") {
				t.Errorf("got %v and %q, want what is for people", err, got)
			}
			if coloured := strings.Contains(got, "\x1b["); coloured != (name == "colours") {
				t.Errorf("got colours %v in %q", coloured, got)
			}
		})
	}
}

// What takes long shows that it goes on, and leaves no trace of that.
func TestExplainProgress(t *testing.T) {
	terminal, s := newScreen(t)
	cmd := exec.Command("whyreset", "explain", "-", "--format", "console")
	cmd.Stderr = terminal
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	terminal.Close()
	if _, err := in.Write(pcapHead()); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(time.Minute)
	for !strings.Contains(s.text(), "24 B, ") {
		select {
		case <-s.news:
		case <-deadline:
			t.Fatalf("got %q, want the bytes that were read", s.text())
		}
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	<-s.done
	if got := s.text(); !strings.HasSuffix(got, clearLine) {
		t.Errorf("got %q, want the line cleared in the end", got)
	}
}
