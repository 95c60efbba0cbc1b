package scenario

import (
	"context"
	"time"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	// Blind attempts miss, and the connection goes on.
	for _, how := range []struct {
		id, story string
		off       uint32
	}{
		{"reset-beside-the-window", "A reset in the server's name whose sequence number lies far beside the window.", 1 << 24},
		{"reset-within-the-window", "A reset in the server's name that lies in the window and not at its beginning, which RFC 5961 has the receiver ask about.", 1000},
	} {
		register(Scenario{
			ID: how.id, Cause: "ignored_reset", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.Netns}, Forward: true, Heard: "clean_close",
			Delay: 10 * time.Millisecond,
			Story: "A third party between forges a reset that is not accepted. " + how.story,
			Run: func(ctx context.Context, e *Env) (Outcome, error) {
				l, err := e.Open()
				if err != nil {
					return Outcome{}, err
				}
				arm, err := e.forge(l.Upstream.Port(), true, func(trigger, _ *seen) []lab.Segment {
					s := reply(trigger)
					s.Seq += how.off
					return []lab.Segment{s}
				})
				if err != nil {
					return Outcome{}, err
				}
				return l.Talk(ctx,
					steps(lab.Read(100), lab.Write(100), lab.Read(100), lab.Write(100), lab.Read(100), lab.Write(100), lab.Close()),
					steps(lab.Write(100), lab.Read(100), do("arm", func() error { arm(); return nil }), lab.Write(100), lab.Read(100),
						lab.Write(100), lab.ReadAll()))
			},
		})
	}
}
