package rules_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"whyreset/proxy/rules"
)

// An errno of the kernel's is told with what it means, and is still there to be asked for.
func TestErrorsAreExplained(t *testing.T) {
	for errno, words := range map[syscall.Errno]string{
		syscall.EPROTONOSUPPORT: "CONFIG_NF_TABLES",
		syscall.EOPNOTSUPP:      "modprobe nf_tables",
		syscall.EAFNOSUPPORT:    "CONFIG_NF_TABLES_INET",
		syscall.ENETDOWN:        "ip link set lo up",
		syscall.EBUSY:           "here: ",
	} {
		err := rules.Explain(fmt.Errorf("here: %w", errno))
		if !errors.Is(err, errno) || !strings.Contains(err.Error(), words) {
			t.Errorf("%v: got %v, want it with %q", errno, err, words)
		}
	}
}
