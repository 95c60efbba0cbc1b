package diagnose_test

import (
	"testing"
	"time"

	"whyreset/diagnose"
	"whyreset/diagnose/evidence"
)

// A socket that is being closed leaves the kernel's table before it sends its reset. What comes in between is answered as if nobody knew
// the connection, and first.
func TestAnswerWhileTheSocketCloses(t *testing.T) {
	at := func(us int, leg evidence.Leg, what evidence.What) evidence.Observation {
		return evidence.Observation{At: time.Duration(us) * time.Microsecond, Leg: leg, What: what}
	}
	ev := &evidence.Evidence{
		Coverage: evidence.Coverage{Sockets: evidence.Watched, Packets: "off", Witness: evidence.Watched},
		Observations: []evidence.Observation{
			at(0, evidence.Downstream, evidence.Socket{Call: evidence.Accept, Saw: evidence.Connected}),
			at(70, evidence.Upstream, evidence.Socket{Call: evidence.Connect, Saw: evidence.Connected}),
			at(71, evidence.Downstream, evidence.Socket{Call: evidence.Recv, Saw: evidence.Data}),
			at(160, evidence.Upstream, evidence.Kernel{Sent: true, From: evidence.Upstream, Reason: evidence.ReasonFlags, State: 10}),
			at(169, evidence.Upstream, evidence.Socket{Call: evidence.Poll, Saw: evidence.Error, Errno: evidence.ECONNRESET}),
			at(170, evidence.Upstream, evidence.Kernel{Sent: true, From: evidence.Upstream, Reason: evidence.ReasonAbortOnClose, State: 7, Process: "server", PID: 7}),
			at(171, evidence.Downstream, evidence.Transfer{In: 40000}),
			at(171, evidence.Upstream, evidence.Transfer{Out: 40000}),
		},
	}
	if v := diagnose.Diagnose(ev); v.Cause != "app_close_unread" || v.Side != diagnose.SideUpstream {
		t.Errorf("got %s on side %s (%s), want app_close_unread upstream: %s", v.Cause, v.Side, v.Confidence, v.Sentence)
	}
}
