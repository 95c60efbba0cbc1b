package lab

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestLikelyCause(t *testing.T) {
	const seccomp = "Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n"
	for _, test := range []struct {
		name  string
		err   error
		files map[string]string
		want  string // what the text must have; empty for none at all
	}{
		{"Debian's switch", syscall.EPERM, map[string]string{"/proc/sys/kernel/unprivileged_userns_clone": "0"}, "unprivileged_userns_clone"},
		{"Ubuntu's switch", syscall.EACCES, map[string]string{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"}, "apparmor"},
		{"both allow it, a filter does not", syscall.EPERM, map[string]string{
			"/proc/sys/kernel/unprivileged_userns_clone":             "1",
			"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "0",
			"/proc/self/status": seccomp}, "seccomp"},
		{"nothing to be seen", syscall.EPERM, map[string]string{"/proc/self/status": "Seccomp:\t0\n"}, "security module"},
		{"none allowed", syscall.ENOSPC, map[string]string{"/proc/sys/user/max_user_namespaces": "0"}, "max_user_namespaces is 0"},
		{"none left", syscall.ENOSPC, map[string]string{"/proc/sys/user/max_user_namespaces": "5"}, "limit"},
		{"not built in", syscall.EINVAL, nil, "built without"},
		{"a container's /proc", &os.PathError{Op: "open", Path: "/proc/sys/net/ipv4/ip_forward", Err: syscall.EROFS}, nil, "read-only"},
		{"something else", errors.New("odd"), nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := likelyCause(test.err, func(file string) string { return test.files[file] })
			if !strings.Contains(got, test.want) || (got == "") != (test.want == "") {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
