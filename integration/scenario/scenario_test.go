package scenario

import (
	"regexp"
	"strings"
	"testing"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
)

func TestScenariosAreWellFormed(t *testing.T) {
	seen := map[string]bool{}
	id := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	for _, s := range All() {
		if seen[s.ID] {
			t.Errorf("%s: registered twice", s.ID)
		}
		seen[s.ID] = true
		if !id.MatchString(s.ID) {
			t.Errorf("%s: want small letters and digits with single hyphens between", s.ID)
		}
		if _, ok := cause.ByID(s.Cause); !ok {
			t.Errorf("%s: the catalogue has no cause %q", s.ID, s.Cause)
		}
		if s.Side != diagnose.SideUpstream && s.Side != diagnose.SideDownstream && s.Side != diagnose.SideProxy {
			t.Errorf("%s: side: got %q, want upstream, downstream or proxy", s.ID, s.Side)
		}
		if !strings.HasSuffix(s.Story, ".") || s.Run == nil || len(s.Places()) == 0 {
			t.Errorf("%s: want a story that ends with a full stop, something to run and a place to run it", s.ID)
		}
		if got, ok := ByID(s.ID); !ok || got.Story != s.Story {
			t.Errorf("%s is not found by its ID", s.ID)
		}
	}
	if len(seen) < 30 {
		t.Errorf("got %d scenarios, want 30 at least", len(seen))
	}
}

func TestSame(t *testing.T) {
	for _, test := range []struct {
		name            string
		direct, through View
		want            bool
	}{
		{"equal", View{Read: 10, End: Reset}, View{Read: 10, End: Reset}, true},
		{"a byte less", View{Read: 10, End: Reset}, View{Read: 9, End: Reset}, false},
		{"an end for a reset", View{Read: 10, End: Reset}, View{Read: 10, End: Answered}, false},
		{"refused", View{End: Refused}, View{End: Reset}, true},
		{"unreachable", View{End: Unreachable}, View{End: Reset}, true},
		{"refused as if it had answered", View{End: Refused}, View{End: Answered}, false},
		{"refused with bytes from nowhere", View{End: Refused}, View{Read: 1, End: Reset}, false},
		{"a reset that became a refusal", View{End: Reset}, View{End: Refused}, false},
		{"timed out after bytes", View{Read: 10, End: TimedOut}, View{Read: 10, End: Reset}, true},
		{"timed out after more bytes", View{Read: 10, End: TimedOut}, View{Read: 9, End: Reset}, false},
		{"an end for a time-out", View{Read: 10, End: TimedOut}, View{Read: 10, End: Answered}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Same(test.direct, test.through); got != test.want {
				t.Errorf("%v without and %v with the proxy: got %v, want %v", test.direct, test.through, got, test.want)
			}
		})
	}
}

func TestRight(t *testing.T) {
	for _, test := range []struct {
		name, truth string
		verdict     diagnose.Verdict
		want        bool
	}{
		{"the truth", "app_abort", diagnose.Verdict{Cause: "app_abort"}, true},
		{"its family, with it inside", "app_close_unread", diagnose.Verdict{Cause: "app_abort", Alternatives: []string{"app_close_unread"}}, true},
		{"its family, without it", "app_close_unread", diagnose.Verdict{Cause: "app_abort"}, false},
		{"named by no relative", "port_closed", diagnose.Verdict{Cause: "app_abort", Alternatives: []string{"port_closed"}}, false},
		{"a relative of a relative", "port_closed", diagnose.Verdict{Cause: "stale_connection", Alternatives: []string{"firewall_reject", "port_closed"}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Right(test.truth, test.verdict); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
