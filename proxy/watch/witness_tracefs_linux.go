package watch

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// instancePrefix is what our instances of tracefs are called, so that one left by a crash is known.
const instancePrefix = "whyreset-"

// bufferKB is the room for events between two drains, in KiB for each processor: some 6,000 resets.
const bufferKB = "512"

// traceEvents are those switched on.
var traceEvents = [...]string{"tcp_send_reset", "tcp_receive_reset"}

// tracefs is the way to hear of resets without BPF or BTF: the same tracepoints as text, in an instance of our own that
// disturbs no other user of tracefs. It tells no network namespaces and of a listening socket's resets no far end. Needs
// root; once open, reading takes no privilege.
//
// It is mounted where nobody sees it: whether and where the host has it mounted does not matter.
type tracefs struct {
	mount    int    // the mount's root
	instance string // below it; empty: none is made yet
	pipe     int    // trace_pipe
	buffer   []byte
	rest     []byte // a line whose end was not read yet
	all      bool   // told of resets without a socket, too
}

func openTracefs() (_ *tracefs, err error) {
	t := &tracefs{mount: -1, pipe: -1, buffer: make([]byte, 64<<10)}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	if t.mount, err = mountTracefs(); err != nil {
		return nil, err
	}
	t.sweep()
	format, err := os.ReadFile(t.path("events/tcp/tcp_send_reset/format"))
	if err != nil {
		return nil, fmt.Errorf("tracefs: %w", err)
	}
	t.all = tellsAll(format)
	// Another process that starts may sweep away what is made and not open yet.
	for range 3 {
		if err = t.open(); !errors.Is(err, unix.ENOENT) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("tracefs: %w", err)
	}
	return t, nil
}

func mountTracefs() (int, error) {
	fs, err := unix.Fsopen("tracefs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("fsopen tracefs: %w", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("fsconfig tracefs: %w", err)
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("fsmount tracefs: %w", err)
	}
	return mount, nil
}

// path is that of a file in tracefs.
func (t *tracefs) path(below string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", t.mount, below)
}

// sweep removes what processes that crashed have left: the kernel keeps those whose pipe is open.
func (t *tracefs) sweep() {
	entries, err := os.ReadDir(t.path("instances"))
	if err != nil {
		return
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), instancePrefix) {
			unix.Unlinkat(t.mount, "instances/"+e.Name(), unix.AT_REMOVEDIR)
		}
	}
}

func (t *tracefs) open() error {
	instance := fmt.Sprintf("instances/%s%d-%08x", instancePrefix, os.Getpid(), rand.Uint32())
	if err := unix.Mkdirat(t.mount, instance, 0o700); err != nil {
		return &os.PathError{Op: "mkdir", Path: instance, Err: err}
	}
	t.instance = instance
	pipe, err := unix.Openat(t.mount, t.instance+"/trace_pipe", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: t.instance + "/trace_pipe", Err: err}
	}
	t.pipe = pipe
	settings := [][2]string{{"trace_clock", "mono"}, {"buffer_size_kb", bufferKB}, {"options/record-tgid", "1"}}
	for _, name := range traceEvents {
		settings = append(settings, [2]string{"events/tcp/" + name + "/enable", "1"})
	}
	for _, s := range settings {
		if err := os.WriteFile(t.path(t.instance+"/"+s[0]), []byte(s[1]), 0); err != nil {
			return err
		}
	}
	return nil
}

func (t *tracefs) drain(hear func(event)) (lost uint64, err error) {
	for {
		n, err := unix.Read(t.pipe, t.buffer)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EAGAIN) || err == nil && n == 0 {
			return lost, nil
		}
		if err != nil {
			return lost, fmt.Errorf("trace_pipe: %w", err)
		}
		text := append(t.rest, t.buffer[:n]...)
		for {
			line, after, whole := bytes.Cut(text, []byte{'\n'})
			if !whole {
				break
			}
			text = after
			if e, ok := parseTrace(string(line)); ok {
				e.process, e.pid = whoIs(e.process, e.pid)
				hear(e)
			} else if n, ok := parseLost(string(line)); ok {
				lost += n
			}
		}
		t.rest = append(t.rest[:0], text...)
	}
}

// whoIs is the process of which a trace tells, or none where that cannot be confirmed: a trace names by what it once noted of a
// thread's number, which may have been another's since.
func whoIs(name string, thread uint32) (process string, pid uint32) {
	if name == "" {
		return "", 0
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", thread))
	if err != nil {
		return "", 0
	}
	is, group := "", uint32(0)
	for line := range bytes.Lines(status) {
		key, value, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), ":\t")
		switch key {
		case "Name":
			is = value
		case "Tgid":
			if n, err := strconv.ParseUint(value, 10, 32); err == nil {
				group = uint32(n)
			}
		}
	}
	if is != name || group == 0 {
		return "", 0
	}
	return name, group
}

func (t *tracefs) whole() bool { return t.all }

// close removes the instance: its pipe must be closed before.
func (t *tracefs) close() {
	if t.pipe >= 0 {
		unix.Close(t.pipe)
		t.pipe = -1
	}
	if t.instance != "" {
		unix.Unlinkat(t.mount, t.instance, unix.AT_REMOVEDIR)
		t.instance = ""
	}
	if t.mount >= 0 {
		unix.Close(t.mount)
		t.mount = -1
	}
}
