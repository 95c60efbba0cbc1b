package diagnose_test

import (
	"testing"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/evidence"
)

// again makes of a packet the same bytes once more.
func again(p *evidence.Packet) { p.Seq -= p.Payload; p.Repeat = true }

// lost takes a packet out of what was captured: its sender goes on behind it.
func (s *story) lost(from evidence.Leg, bytes uint32) *story {
	s.next[from] += bytes
	s.id[from]++
	return s
}

// unheard is a connection whose client asks once more and is not answered: what it sends comes again after longer and longer pauses.
func unheard(tries int) *story {
	s := asked().packet(1*sec, down, evidence.PSH|evidence.ACK, 100)
	at := 1*sec + 200*ms
	for i := range tries {
		s.packet(at, down, evidence.PSH|evidence.ACK, 100, again)
		s.next[down] -= 100
		at += 200 * ms << (i + 1)
	}
	return s
}

// overIPv6 makes of a connection one without IP IDs, whose ends label their flows.
func (s *story) overIPv6() *story {
	for i, o := range s.ev.Observations {
		if p, ok := o.What.(evidence.Packet); ok {
			p.IPv6, p.DF, p.ID, p.FlowLabel = true, false, 0, 4711+uint32(p.From)
			s.ev.Observations[i].What = p
		}
	}
	return s
}

// What is not there is held against nobody, and a reset that follows a silence is explained by the silence.
func TestGaps(t *testing.T) {
	const rst, ack, fin = evidence.RST, evidence.ACK, evidence.FINFlag
	old := func(p *evidence.Packet) { p.Ack -= 100 }
	oldSeq := func(p *evidence.Packet) { p.Seq -= 100 }
	bareAt := func(n uint32) func(*evidence.Packet) { return func(p *evidence.Packet) { bare(p); p.Seq = n } }
	tests := []struct {
		name        string
		story       *story
		want        string
		least, most cause.Strength
		side        diagnose.Side
	}{
		{"the client gave up, then the server closes", unheard(3).packet(9*sec, up, fin|ack, 0, old).packet(9*sec+ms, down, rst, 0, bare, oldSeq),
			"path_silent", cause.Likely, cause.Likely, diagnose.SideUpstream},
		{"the client gave up, then the server speaks", unheard(2).packet(9*sec, up, evidence.PSH|ack, 50, old).packet(9*sec+ms, down, rst, 0, bare, oldSeq),
			"path_silent", cause.Likely, cause.Likely, diagnose.SideUpstream},
		{"one retransmission is a loss", unheard(1).packet(9*sec, up, fin|ack, 0, old).packet(9*sec+ms, down, rst, 0, bare, oldSeq),
			"stale_connection", cause.Possible, cause.Likely, diagnose.SideDownstream},
		{"the server answers its host's retransmissions with a reset", unheard(3).packet(2420*ms, up, rst, 0, bare),
			"stale_connection", cause.Possible, cause.Likely, diagnose.SideUpstream},
		{"the FIN was not captured", asked().lost(up, 1).packet(2*sec, down, ack, 0).packet(3*sec, down, evidence.PSH|ack, 100).answered(3020*ms, up),
			"write_after_close", cause.Possible, cause.Likely, diagnose.SideUpstream},
		{"the bytes behind the FIN were not captured", asked().packet(2*sec, up, fin|ack, 0).packet(2*sec+ms, down, ack, 0).lost(down, 100).
			packet(3*sec, up, rst, 0, bare), "write_after_close", cause.Possible, cause.Possible, diagnose.SideUpstream},
		{"what was exchanged was not captured", opened().lost(down, 100).lost(up, 2000).packet(80*ms, down, ack, 0).packet(90*ms, up, rst|ack, 0),
			"app_abort", cause.Possible, cause.Likely, diagnose.SideUpstream},
		{"nothing of the resetting host was captured", capture().packet(0, down, evidence.PSH|ack, 100).packet(20*ms, up, rst, 0, bareAt(5000)),
			"firewall_reject", cause.Possible, cause.Possible, diagnose.SideUpstream},
		{"an answer with a window that only the socket knew", asked().packet(1*sec, down, evidence.PSH|ack, 100).packet(1020*ms, up, rst, 0, bare, window(502)).overIPv6(),
			"injected_reset", cause.Possible, cause.Possible, diagnose.SideUpstream},
		{"the same without", asked().packet(1*sec, down, evidence.PSH|ack, 100).packet(1020*ms, up, rst, 0, bare).overIPv6(),
			"stale_connection", cause.Likely, cause.Likely, diagnose.SideUpstream},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := diagnose.Diagnose(test.story.evidence())
			if v.Cause != test.want || v.Confidence < test.least || v.Confidence > test.most || v.Side != test.side {
				t.Errorf("got %s %s, side %s (%s, for %v, or %v), want %s from %s to %s, side %s", v.Confidence, v.Cause, v.Side, v.Sentence, v.For, v.Alternatives,
					test.want, test.least, test.most, test.side)
			}
		})
	}
}
