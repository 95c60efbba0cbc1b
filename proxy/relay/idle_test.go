package relay

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"whyreset/integration/lab"
)

// A FIN behind a part of what the other side sent would pass it off as the whole: with bytes of it still in our hands, the
// idle timeout is a reset.
func TestIdleTimeoutWithBytesHeld(t *testing.T) {
	t.Parallel()
	const limit = 300 * time.Millisecond
	l, client, server := through(t, Options{})
	taken := fill(t, server)
	l.SetTimeouts(Timeouts{Idle: limit})
	e := l.next()
	if got := story(e.Evidence()); !strings.HasSuffix(got, "!idle !d:passed-reset !u:passed-reset") {
		t.Errorf("got %s", got)
	}
	out := lab.Run(context.Background(), client, lab.Script{Expects: 1, Steps: []lab.Step{lab.ReadAll()}})
	if out.End != lab.EndReset || out.Damage != nil || out.Read >= taken {
		t.Errorf("client: got %v, want a part of %d bytes and a reset", out, taken)
	}
}

// epoll_wait(2) takes its patience as an int: a deadline farther away than that must not become none, or one in the past.
func TestFarDeadline(t *testing.T) {
	s := step(t, Options{Timeouts: Timeouts{Idle: 60 * 24 * time.Hour}})
	s.connect()
	if got := s.loop.patience(); got <= 0 || got > math.MaxInt32 {
		t.Errorf("the loop would sleep for %d ms, want at most %d", got, math.MaxInt32)
	}
}
