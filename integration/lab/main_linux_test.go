package lab_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"whyreset/integration/lab"
)

func init() {
	parts["tell"] = func() int { return lab.Main(tell) }
	parts["die"] = func() int {
		return lab.Main(func() int {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		})
	}
	parts["wait"] = func() int { return lab.Main(waitForSignal) }
	parts["refused by a filter"] = func() int {
		forbidNamespaces()
		return lab.Main(tell)
	}
	parts["refused by a limit"] = func() int {
		if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("1"), 0); err != nil {
			fmt.Println(err)
			return 1
		}
		// A user other than 0 loses the capabilities of its new user namespace when it runs a program.
		cmd := play("tell")
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: 0, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: 0, Size: 1}},
		}
		cmd.Stdout = os.Stdout
		if err := cmd.Run(); err != nil {
			fmt.Println(err)
		}
		return cmd.ProcessState.ExitCode()
	}
}

// play returns a command that plays a part in a process that knows of no lab.
func play(part string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", "one", "-two")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "WHYRESET_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, partVar+"="+part)
	return cmd
}

// tell writes what it is like inside, and exits with 7.
func tell() int {
	err := lab.Available()
	fmt.Println("available:", err)
	fmt.Println("unavailable:", errors.Is(err, lab.ErrUnavailable))
	fmt.Println("refused:", lab.Refused())
	fmt.Println("arguments:", os.Args[1:])
	fmt.Println("user:", os.Getuid(), "in a user namespace:", lab.InUserNamespace())
	var names []string
	links, err := net.Interfaces()
	for _, l := range links {
		names = append(names, l.Name+" "+l.Flags.String())
	}
	fmt.Println("interfaces:", names, err)
	if text, err := io.ReadAll(os.Stdin); err != nil || len(text) > 0 {
		fmt.Println("input:", string(text), err)
	}
	return 7
}

func TestMainInside(t *testing.T) {
	newNet(t) // where hosts cannot be made there is nothing to see
	cmd := play("tell")
	cmd.Stdin = strings.NewReader("hello")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("exit code: got %v, want 7", err)
	}
	for _, want := range []string{
		"available: <nil>",
		"refused: <nil>",
		"arguments: [one -two]",
		"user: 0 in a user namespace: true",
		"interfaces: [lo up|loopback|running] <nil>",
		"input: hello <nil>",
	} {
		if !strings.Contains(string(out), want+"\n") {
			t.Errorf("got no line %q", want)
		}
	}
	if t.Failed() {
		t.Logf("output:\n%s", out)
	}
}

func TestMainPassesDeathOn(t *testing.T) {
	newNet(t)
	err := play("die").Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 128+int(syscall.SIGKILL) {
		t.Errorf("got %v, want exit status 137", err)
	}
}

func waitForSignal() int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	fmt.Println("waiting")
	return 40 + int((<-signals).(syscall.Signal))
}

func TestMainPassesSignalsOn(t *testing.T) {
	newNet(t)
	for _, test := range []struct {
		signal syscall.Signal
		code   int // -1: killed
	}{
		{syscall.SIGTERM, 40 + int(syscall.SIGTERM)},
		{syscall.SIGINT, 40 + int(syscall.SIGINT)},
		{syscall.SIGKILL, -1}, // the process outside can only die
	} {
		t.Run(test.signal.String(), func(t *testing.T) {
			cmd := play("wait")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal that would send it too
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			stuck := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
			defer stuck.Stop()
			lines := bufio.NewReader(out)
			if line, err := lines.ReadString('\n'); line != "waiting\n" {
				t.Fatalf("got %q, %v", line, err)
			}
			if err := cmd.Process.Signal(test.signal); err != nil {
				t.Fatal(err)
			}
			// The end of the output is that of the process inside: nobody else holds it any longer then.
			rest, err := io.ReadAll(lines)
			if err != nil || len(rest) > 0 {
				t.Errorf("got %q, %v, want the end of the output", rest, err)
			}
			cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != test.code {
				t.Errorf("exit code: got %d, want %d", got, test.code)
			}
		})
	}
}

func TestMainRefused(t *testing.T) {
	newNet(t) // for it takes namespaces to be refused more of them
	for _, test := range []struct {
		part string
		want []string
	}{
		{"refused by a filter", []string{"clone(CLONE_NEWUSER", "operation not permitted", "seccomp filter"}},
		{"refused by a limit", []string{"clone(CLONE_NEWUSER", "no space left on device", "max_user_namespaces"}},
	} {
		t.Run(test.part, func(t *testing.T) {
			cmd := play(test.part)
			cmd.SysProcAttr = &syscall.SysProcAttr{
				Cloneflags:  syscall.CLONE_NEWUSER,
				UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
				GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
			}
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 7 {
				t.Errorf("the program is to go on without the lab: got %v, want exit status 7", err)
			}
			first, rest, _ := bytes.Cut(out, []byte("\n"))
			for _, want := range test.want {
				if !strings.Contains(string(first), want) {
					t.Errorf("reason: got %q, want it to have %q", first, want)
				}
			}
			if !strings.Contains(string(rest), "unavailable: true\n") {
				t.Errorf("got %q, want an ErrUnavailable", rest)
			}
		})
	}
}

// forbidNamespaces does to this process what the filters of containers do: clone and unshare with the flags of new
// namespaces are answered with EPERM.
func forbidNamespaces() {
	const flags = unix.CLONE_NEWUSER | unix.CLONE_NEWNET
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	jump := func(how uint16, k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | how | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	// struct seccomp_data: the number at 0, the low half of the first argument at 16 (both machines that this runs on are
	// little-endian).
	program := []unix.SockFilter{
		load(0),
		jump(unix.BPF_JEQ, unix.SYS_CLONE, 1, 0),
		jump(unix.BPF_JEQ, unix.SYS_UNSHARE, 0, 2),
		load(16),
		jump(unix.BPF_JSET, flags, 1, 0),
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	must(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&filter))); errno != 0 {
		panic(errno)
	}
}
