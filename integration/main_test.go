// Package integration holds what takes the whole program to show: that each cause, brought about for real, is found.
//
// It has no code but tests. Hosts, firewalls and scripted peers come from package lab, the ways to end a connection from
// package scenario.
package integration

import (
	"flag"
	"os"
	"os/exec"
	"testing"

	"whyreset/integration/lab"
	"whyreset/integration/scenario"
)

var update = flag.Bool("update", false, "write the golden files anew")

// partVar names the part that this program is to play instead of running tests.
const partVar = "WHYRESET_INTEGRATION_PART"

func TestMain(m *testing.M) {
	if part := os.Getenv(partVar); part != "" {
		os.Unsetenv(partVar)
		if code, ours := playRelayPart(part); ours {
			os.Exit(code)
		}
		os.Exit(scenario.Part(part, startProxy))
	}
	os.Exit(lab.Main(func() int {
		defer func() { os.RemoveAll(commandDir) }() // which is empty where no test asked for the command
		return m.Run()
	}))
}

// program runs this program once more, to play a part.
func program(part string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	// Under the race detector a process would wait for a second before it ends.
	cmd.Env = append(os.Environ(), partVar+"="+part, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// newLab is a lab with firewalls, or the end of the test.
func newLab(t *testing.T) *lab.Net {
	t.Helper()
	if skip, err := lab.Need(lab.Netns, lab.NFT); err != nil {
		t.Fatal(err)
	} else if skip != "" {
		t.Skip(skip)
	}
	n, err := lab.New(lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("closing the lab: %v", err)
		}
	})
	return n
}
