package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// reportVar holds the number of the file on which the process inside tells the one outside whether hosts can be made. It
// is a matter of these two alone, and is gone from the environment before anything else starts.
const reportVar = "WHYRESET_LAB_REPORT"

// report is what is told: a refusal, or the zero value when all is well.
type report struct {
	Step, Text, Hint string
	Errno            syscall.Errno
}

func enter(run func() int) int {
	if fd, told := os.LookupEnv(reportVar); told {
		os.Unsetenv(reportVar)
		if !tell(fd) {
			return 1 // nobody reads this code: the process outside goes on without this one
		}
		return run()
	}
	if os.Getenv(hereVar) == "here" {
		return run()
	}
	code, err := inside()
	if err == nil {
		return code
	}
	recordRefusal(err)
	return run()
}

// tell tries what the lab will need, by needing it, and reports.
func tell(fd string) bool {
	err := loopbackUp()
	if err == nil {
		err = try()
	}
	var r report
	if err != nil {
		r = report{Step: "inside the new namespaces", Text: err.Error()}
		var no *Unavailable
		if errors.As(err, &no) {
			r.Step, r.Text, r.Hint = no.Step, no.Err.Error(), no.Hint
		}
		errors.As(err, &r.Errno)
	} else {
		proved()
	}
	n, convErr := strconv.Atoi(fd)
	if convErr != nil {
		return false
	}
	pipe := os.NewFile(uintptr(n), "report")
	defer pipe.Close()
	return json.NewEncoder(pipe).Encode(r) == nil && err == nil
}

// inside runs this program in new namespaces and returns its exit code. An error means that hosts cannot be made that
// way, and that nothing but the attempt has been run there.
func inside() (int, error) {
	// PR_SET_PDEATHSIG is about the thread that forked, not about the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	in, out, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer in.Close()
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", // there even if the file is not, or is in a folder closed to this user
		Args: os.Args,
		Env:  append(os.Environ(), hereVar+"=here", reportVar+"=3"),
		// As files, not as copies of streams: no goroutine, and a terminal stays one.
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		ExtraFiles:  []*os.File{out},
		SysProcAttr: newNamespaces(),
	}
	// Before the start, as the program does not wait for this process: a signal must not find it unprepared.
	signals := catchSignals()
	err = cmd.Start()
	out.Close()
	if err != nil {
		signal.Stop(signals)
		close(signals)
		for sig := range signals {
			syscall.Kill(os.Getpid(), sig.(syscall.Signal))
		}
		return 0, unavailable("clone(CLONE_NEWUSER|CLONE_NEWNET|CLONE_NEWNS)", err)
	}
	stop := passSignals(signals, cmd.Process)
	refusal := hear(in)
	cmd.Wait() // what it says stands in ProcessState as well
	passed := stop()
	if refusal == nil {
		return exitCode(cmd.ProcessState), nil
	}
	for _, sig := range passed {
		syscall.Kill(os.Getpid(), sig) // it was meant for the program, which is to run here
	}
	return 0, refusal
}

// hear waits for the report. Its writer holds the only other end of the pipe, so no report can be waited for in vain.
func hear(in io.Reader) error {
	var r report
	switch err := json.NewDecoder(in).Decode(&r); {
	case err != nil:
		return unavailable("starting once more in new namespaces", errors.New("the new process ended without a word"))
	case r == report{}:
		return nil
	case r.Errno != 0:
		return &Unavailable{Step: r.Step, Err: r.Errno, Hint: r.Hint}
	}
	return &Unavailable{Step: r.Step, Err: errors.New(r.Text), Hint: r.Hint}
}

func newNamespaces() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
	}
	// A service that a test starts as a user of its own (PostgreSQL refuses to be root) needs that user to exist inside.
	// More than one's own ID can be given only by a holder of these two capabilities (user_namespaces(7)).
	if caps := effective(); caps&(1<<unix.CAP_SETUID) != 0 && caps&(1<<unix.CAP_SETGID) != 0 {
		users, errUsers := everyID("/proc/self/uid_map")
		groups, errGroups := everyID("/proc/self/gid_map")
		if errUsers == nil && errGroups == nil {
			a.UidMappings, a.GidMappings = users, groups
			// Once denied, setgroups(2) is denied in all user namespaces further in.
			a.GidMappingsEnableSetgroups = readLine("/proc/self/setgroups") != "deny"
			return a
		}
	}
	a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
	a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	return a
}

// everyID maps each ID that exists in this user namespace to itself.
func everyID(file string) ([]syscall.SysProcIDMap, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var ids []syscall.SysProcIDMap
	for line := range strings.Lines(string(text)) {
		var first, outside, n int
		if _, err := fmt.Sscan(line, &first, &outside, &n); err != nil {
			return nil, err
		}
		ids = append(ids, syscall.SysProcIDMap{ContainerID: first, HostID: first, Size: n})
	}
	return ids, nil
}

// effective returns the capabilities of this thread, or none when they cannot be read.
func effective() uint64 {
	var data [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]); err != nil {
		return 0
	}
	return uint64(data[1].Effective)<<32 | uint64(data[0].Effective)
}

// catchSignals keeps what this process is sent from ending it.
func catchSignals() chan os.Signal {
	signals := make(chan os.Signal, 16)
	var all []os.Signal
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2} {
		if !signal.Ignored(sig) { // nohup stays nohup
			all = append(all, sig)
		}
	}
	if len(all) > 0 { // Notify takes "none" for "all"
		signal.Notify(signals, all...)
	}
	return signals
}

// passSignals sends on to the process what this one is sent, until stop is called, which tells what that was.
func passSignals(signals chan os.Signal, to *os.Process) (stop func() []syscall.Signal) {
	passed := make(chan []syscall.Signal)
	go passEach(signals, to, passed)
	return func() []syscall.Signal {
		signal.Stop(signals)
		close(signals)
		return <-passed
	}
}

func passEach(signals <-chan os.Signal, to *os.Process, passed chan<- []syscall.Signal) {
	var all []syscall.Signal
	for sig := range signals {
		all = append(all, sig.(syscall.Signal))
		// A terminal sends Ctrl-C to both processes, as they are in one group. Passed on it would be a second one, and a
		// second one means "at once" to many programs.
		if sig != syscall.SIGINT || !inForeground() {
			to.Signal(sig) // it may have ended by now
		}
	}
	passed <- all
}

// inForeground reports whether the terminal, if there is one, sends its signals to this process.
func inForeground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// exitCode is what a shell would say.
func exitCode(state *os.ProcessState) int {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return state.ExitCode()
}

// initialUserNamespace is the inode number of the one user namespace that every system has: PROC_USER_INIT_INO in
// include/linux/proc_ns.h.
const initialUserNamespace = 0xEFFFFFFD

// InUserNamespace reports whether this process is in a user namespace other than the machine's own, where user 0 and
// capabilities say nothing about rights over the machine.
func InUserNamespace() bool {
	at, err := os.Readlink("/proc/self/ns/user")
	return err == nil && at != fmt.Sprintf("user:[%d]", uint32(initialUserNamespace))
}
