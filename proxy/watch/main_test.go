package watch

import (
	"os"
	"testing"

	"whyreset/integration/lab"
)

// Root's hosts are made in plain namespaces: inside a user namespace the kernel lets nobody trace it. An ordinary user's are
// made as everywhere.
func TestMain(m *testing.M) {
	if os.Geteuid() == 0 && !lab.InUserNamespace() {
		os.Setenv("WHYRESET_LAB", "here")
	}
	os.Exit(lab.Main(m.Run))
}
