package telemetry

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"

	"whyreset/proxy/kernel"
)

// output is what is written to.
type output struct {
	file     *os.File
	fd       int
	terminal bool
}

func openOutput(name string) (*output, error) {
	var f *os.File
	var err error
	switch name {
	case "", "stdout":
		f, err = duplicate(syscall.Stdout, "stdout")
	case "stderr":
		f, err = duplicate(syscall.Stderr, "stderr")
	default:
		// Not to block: opening a FIFO that nobody reads would wait for a reader.
		f, err = os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o640)
	}
	if err != nil {
		return nil, fmt.Errorf("log output: %w", err)
	}
	return newOutput(f)
}

// duplicate gives the descriptor another number: the runtime ends the program by SIGPIPE when a write to 1
// or 2 meets a pipe that nobody reads any more, and a reader of the log must not be able to end the proxy.
func duplicate(fd int, name string) (*os.File, error) {
	other, err := syscall.Dup(fd)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	syscall.CloseOnExec(other)
	return os.NewFile(uintptr(other), name), nil
}

func newOutput(f *os.File) (*output, error) {
	o := &output{file: f}
	raw, err := f.SyscallConn()
	if err == nil { // not File.Fd, which would make a pipe block
		err = raw.Control(func(fd uintptr) { o.fd, o.terminal = int(fd), isatty.IsTerminal(fd) })
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("log output %s: %w", f.Name(), err)
	}
	return o, nil
}

// release ends a write that is under way, and all to come. The error is os.ErrNoDeadline where the output
// cannot be polled, as files and most terminals cannot: there a write takes as long as the kernel makes it wait.
func (o *output) release() error { return o.file.SetWriteDeadline(time.Unix(1, 0)) }

// width is the terminal's at this moment, zero where there is none.
func (o *output) width() int {
	if !o.terminal {
		return 0
	}
	return kernel.TerminalWidth(o.fd)
}
