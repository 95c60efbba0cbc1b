package telemetry

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"whyreset/diagnose"
)

// terminal makes a pseudo-terminal of a width and gives the path to write to and the end to read.
func terminal(t *testing.T, columns uint16) (path string, screen *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	var number, unlock uint32
	size := [4]uint16{25, columns} // struct winsize
	raw, err := screen.SyscallConn()
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
	return fmt.Sprintf("/dev/pts/%d", number), screen
}

func TestTerminal(t *testing.T) {
	for _, tt := range []struct {
		name    string
		env     map[string]string
		format  Format
		columns uint16
		want    string // in what is shown
		absent  string
	}{
		{name: "auto", columns: 200, want: "\x1b[31mapp_abort"},
		{name: "narrow", columns: 80, want: "\x1b[31mapp_abort", absent: "db  "},
		{name: "COLUMNS", env: map[string]string{"COLUMNS": "80"}, columns: 200, want: "app_abort", absent: "db  "},
		{name: "NO_COLOR", env: map[string]string{"NO_COLOR": "1"}, columns: 200, want: " app_abort ", absent: "\x1b"},
		{name: "dumb", env: map[string]string{"TERM": "dumb"}, columns: 200, want: " app_abort ", absent: "\x1b"},
		{name: "json", format: JSON, columns: 200, want: `{"@timestamp":`, absent: "\x1b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, name := range []string{"COLUMNS", "NO_COLOR"} {
				t.Setenv(name, tt.env[name])
			}
			t.Setenv("TERM", "xterm")
			if v, ok := tt.env["TERM"]; ok {
				t.Setenv("TERM", v)
			}
			path, screen := terminal(t, tt.columns)
			w := open(t, Options{Output: path, Format: tt.format, SampleClean: 1})
			w.Connection(connection(1, diagnose.AnswerCut))
			shown := make(chan string)
			go func() {
				var all bytes.Buffer
				all.ReadFrom(screen) // until the writer has closed the other end (EIO)
				shown <- all.String()
			}()
			closeNow(t, w)
			got := <-shown
			if !strings.Contains(got, tt.want) || tt.absent != "" && strings.Contains(got, tt.absent) {
				t.Errorf("got %q, want %q and not %q", got, tt.want, tt.absent)
			}
		})
	}
}
