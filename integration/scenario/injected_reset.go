package scenario

import (
	"context"
	"time"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	for _, how := range []struct {
		id, story string
		write     func(trigger, name *seen) []lab.Segment
	}{
		{"forged-by-tcpkill", "Three bare resets, of which two aim further into the window, with a number of their own and without DF, as tcpkill sends them.",
			func(trigger, _ *seen) (all []lab.Segment) {
				for i := range 3 {
					s := reply(trigger)
					s.Seq += uint32(i*(i+1)/2) * uint32(trigger.tcp.Window) // tcpkill adds i times the window to the number before
					s.DF, s.ID = false, uint16(0x4a31+7919*i)
					all = append(all, s)
				}
				return all
			}},
		{"forged-burst", "Three resets with the ACK flag and equal numbers, whose windows and TTLs count up, as some national filters send them.",
			func(trigger, _ *seen) (all []lab.Segment) {
				for i := range 3 {
					s := abort(trigger)
					s.Window, s.TTL, s.ID = uint16(1980+i), uint8(48+i), uint16(0x2222+i)
					all = append(all, s)
				}
				return all
			}},
		{"forged-copying-the-trigger", "A reset that bears window and IP ID of the packet that it answers, and acknowledges none of it.",
			func(trigger, _ *seen) []lab.Segment {
				s := abort(trigger)
				s.Ack, s.Window, s.ID = trigger.tcp.Seq, trigger.tcp.Window, uint16(trigger.ip.ID)
				return []lab.Segment{s}
			}},
		{"forged-with-ttl-copied", "A reset in the form of a live socket's, with the TTL of the server's packets, and no other mark of its stack.",
			func(trigger, name *seen) []lab.Segment {
				s := abort(trigger)
				s.TTL, s.ID = name.ip.TTL, 0x7777
				return []lab.Segment{s}
			}},
		{"forged-with-all-copied", "A reset in the form of a live socket's with everything copied: TTL, the next IP ID, window, timestamps, flow label.",
			func(trigger, name *seen) []lab.Segment { return []lab.Segment{disguise(abort(trigger), name)} }},
	} {
		register(Scenario{
			ID: how.id, Cause: "injected_reset", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.Netns}, Shown: packets, Forward: true,
			Delay: 20 * time.Millisecond,
			Story: "A third party between forges a reset in the server's name when a request comes by. " + how.story,
			Run:   func(ctx context.Context, e *Env) (Outcome, error) { return e.forgeAnswer(ctx, how.write) },
		})
	}
	register(Scenario{
		ID: "forged-in-the-clients-name", Cause: "injected_reset", Side: diagnose.SideDownstream, Needs: []lab.Feature{lab.Netns}, Shown: packets,
		Forward: true, NearServer: true, Delay: 20 * time.Millisecond,
		Story: "A third party between forges a bare reset in the client's name, with a TTL, an IP ID and no DF of its own, when the answer comes by.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			l, err := e.Open()
			if err != nil {
				return Outcome{}, err
			}
			arm, err := e.forge(l.To.Port(), false, func(trigger, _ *seen) []lab.Segment {
				s := reply(trigger)
				s.TTL, s.ID, s.DF = 57, 0x1b1b, false
				return []lab.Segment{s}
			})
			if err != nil {
				return Outcome{}, err
			}
			ended := make(chan struct{})
			return l.Talk(ctx,
				steps(lab.Read(100), lab.Write(100), lab.Read(100), do("arm", func() error { arm(); return nil }), lab.Write(100), lab.ReadAll(), tell(ended)),
				steps(lab.Write(100), lab.Read(100), lab.Write(100), lab.Wait(ended)))
		},
	})
	register(Scenario{
		ID: "tcpkill", Cause: "injected_reset", Side: diagnose.SideUpstream, Needs: []lab.Feature{lab.Tcpkill}, Shown: packets, Family: 4, Forward: true,
		Delay: 20 * time.Millisecond,
		Story: "On the router between, somebody runs tcpkill (dsniff) against the server's port.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			l, err := e.Open()
			if err != nil {
				return Outcome{}, err
			}
			return l.Talk(ctx,
				steps(lab.Read(100), lab.Write(100), lab.ReadAll()),
				steps(lab.Write(100), lab.Read(100),
					do("tcpkill", func() error { return e.Net.Router.Tcpkill(ctx, "toserver", l.Upstream.Port()) }), lab.Write(100), lab.ReadAll()))
		},
	})
}

// forgeAnswer has one exchange and, in place of the answer to a second request, the answers that write forges in the server's name.
// The true one comes, too, before the hosts go.
func (e *Env) forgeAnswer(ctx context.Context, write func(trigger, name *seen) []lab.Segment) (Outcome, error) {
	l, err := e.Open()
	if err != nil {
		return Outcome{}, err
	}
	arm, err := e.forge(l.Upstream.Port(), true, write)
	if err != nil {
		return Outcome{}, err
	}
	answered := make(chan struct{})
	return l.Talk(ctx,
		steps(lab.Read(100), lab.Write(100), lab.Read(100), lab.Write(100), tell(answered), e.UntilClientEnds()),
		steps(lab.Write(100), lab.Read(100), do("arm", func() error { arm(); return nil }), lab.Write(100), lab.ReadAll(), lab.Wait(answered),
			lab.Sleep(2*e.scenario.Delay)))
}
