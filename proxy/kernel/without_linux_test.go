package kernel

import (
	"errors"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// Programs that fn starts lack what was given up, and this process keeps it on all threads that remain.
func TestWithout(t *testing.T) {
	for range 200 { // some of them meet the first thread
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { runtime.Gosched() })
		}
		err := Without(NetRaw, func() error {
			effective, permitted, errno := Held()
			if errno != 0 {
				return errno
			}
			if (effective|permitted)&NetRaw != 0 {
				t.Errorf("got capabilities %v, want them without CAP_NET_RAW", effective|permitted)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		all.Wait()
	}
	before, _, _ := Held()
	var out []byte
	err := Without(NetRaw|NetAdmin, func() (err error) {
		out, err = exec.Command("grep", "-E", "^Cap(Prm|Eff|Bnd)", "/proc/self/status").Output()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, permitted, _ := Held()
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		name, value, _ := strings.Cut(line, ":")
		if name == "CapBnd" && permitted&(1<<8) == 0 { // CAP_SETPCAP
			continue
		}
		if bits := parseCapabilities(t, value); bits&(NetRaw|NetAdmin) != 0 {
			t.Errorf("%s of a program is %s, want it without CAP_NET_RAW and CAP_NET_ADMIN", name, strings.TrimSpace(value))
		}
	}
	if after, _, _ := Held(); after != before {
		t.Errorf("this process has %v, want %v as before", after, before)
	}
	if told := errors.New("told"); Without(NetRaw, func() error { return told }) != told {
		t.Error("the error of fn does not come back")
	}
}

func parseCapabilities(t *testing.T, text string) (c Capabilities) {
	t.Helper()
	for _, digit := range strings.TrimSpace(text) {
		at := strings.IndexRune("0123456789abcdef", digit)
		if at < 0 {
			t.Fatalf("%q is no set of capabilities", text)
		}
		c = c<<4 | Capabilities(at)
	}
	return c
}
