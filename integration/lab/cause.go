package lab

import (
	"errors"
	"os"
	"strings"
	"syscall"
)

// likelyCause guesses why the kernel said no, from what it lets every process read. The refusal itself does not tell:
// a seccomp filter, a security module and a missing capability all answer EPERM.
func likelyCause(err error, read func(file string) string) string {
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		switch {
		case read("/proc/sys/kernel/unprivileged_userns_clone") == "0":
			return "sysctl kernel.unprivileged_userns_clone is 0"
		case read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
			return "sysctl kernel.apparmor_restrict_unprivileged_userns is 1, as on Ubuntu since 23.10"
		case seccompMode(read("/proc/self/status")) == "2":
			return "a seccomp filter is in force, such as that of a container"
		}
		return "privileges are missing, or a security module objects"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EUSERS):
		if read("/proc/sys/user/max_user_namespaces") == "0" {
			return "sysctl user.max_user_namespaces is 0"
		}
		return "a limit on the number of namespaces is reached here or further out: sysctl user.max_user_namespaces, user.max_net_namespaces"
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENOSYS):
		return "this kernel was built without such namespaces, or is not quite Linux"
	case errors.Is(err, syscall.EROFS):
		return "/proc/sys is mounted read-only, as in a container"
	}
	return ""
}

// seccompMode finds the field of proc_pid_status(5): 0 none, 1 strict, 2 filter.
func seccompMode(status string) string {
	for line := range strings.Lines(status) {
		if mode, ok := strings.CutPrefix(line, "Seccomp:"); ok {
			return strings.TrimSpace(mode)
		}
	}
	return ""
}

// readLine returns what a file holds, without its last line break; nothing if it cannot be read.
func readLine(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
