package lab_test

import (
	"context"
	"os"
	"testing"
	"time"

	"whyreset/integration/lab"
)

// partVar names the part that this program is to play instead of running tests.
const partVar = "WHYRESET_LAB_TEST_PART"

var parts = map[string]func() int{}

// TestMain also lets this program play the parts that other tests start it for.
func TestMain(m *testing.M) {
	if part := parts[os.Getenv(partVar)]; part != nil {
		os.Exit(part())
	}
	os.Exit(lab.Main(m.Run))
}

// newNet returns a lab for this test, or skips it.
func newNet(t *testing.T, features ...lab.Feature) *lab.Net {
	t.Helper()
	return newNetWith(t, lab.Options{}, features...)
}

func newNetWith(t *testing.T, o lab.Options, features ...lab.Feature) *lab.Net {
	t.Helper()
	if skip, err := lab.Need(append(features, lab.Netns)...); err != nil {
		t.Fatal(err)
	} else if skip != "" {
		t.Skip(skip)
	}
	n, err := lab.New(o)
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

// withTimeout is for what must happen soon: it only bounds the wait on a machine that has much else to do.
func withTimeout(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
