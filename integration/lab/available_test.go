package lab_test

import (
	"errors"
	"strings"
	"testing"

	"whyreset/integration/lab"
)

func TestNeed(t *testing.T) {
	const odd lab.Feature = "a-third-hand"

	t.Setenv(lab.RequireVar, "netns-not, other")
	skip, err := lab.Need(odd)
	if err != nil || !strings.HasPrefix(skip, "needs a-third-hand: ") {
		t.Errorf("a feature that is missing: got %q, %v, want a reason to skip", skip, err)
	}
	if skip, err := lab.Need(); skip != "" || err != nil {
		t.Errorf("no feature: got %q, %v", skip, err)
	}

	t.Setenv(lab.RequireVar, "other, a-third-hand")
	if skip, err := lab.Need(odd); skip != "" || err == nil || !strings.Contains(err.Error(), "requires a-third-hand") {
		t.Errorf("a feature that is missing and required: got %q, %v, want an error", skip, err)
	}

	available := lab.Available()
	if available != nil && !errors.Is(available, lab.ErrUnavailable) {
		t.Errorf("got %v, want an ErrUnavailable", available)
	}
	t.Setenv(lab.RequireVar, "netns")
	if skip, err := lab.Need(lab.Netns); skip != "" || !errors.Is(err, available) {
		t.Errorf("netns: got %q, %v, want what Available says: %v", skip, err, available)
	}
}
