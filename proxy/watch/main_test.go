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

func needLab(t testing.TB, features ...lab.Feature) {
	t.Helper()
	if skip, err := lab.Need(features...); err != nil {
		t.Fatal(err)
	} else if skip != "" {
		t.Skip(skip)
	}
}

// newLab is a lab with these features, or the end of the test.
func newLab(t *testing.T, features ...lab.Feature) *lab.Net {
	t.Helper()
	needLab(t, features...)
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
