package diagnose_test

import (
	"slices"
	"testing"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/evidence"
)

type change = func(*evidence.Packet)

func set(c ...change) change {
	return func(p *evidence.Packet) {
		for _, one := range c {
			one(p)
		}
	}
}

func ttl(n uint8) change     { return func(p *evidence.Packet) { p.TTL = n } }
func id(n uint16) change     { return func(p *evidence.Packet) { p.ID = n } }
func window(n uint16) change { return func(p *evidence.Packet) { p.Window = n } }

func acks(by int32) change { return func(p *evidence.Packet) { p.Ack += uint32(by) } }

func noStamp(p *evidence.Packet) { p.HasTimestamp, p.TSVal, p.TSEcr = false, 0, 0 }
func noDF(p *evidence.Packet)    { p.DF = false }
func junkAck(p *evidence.Packet) { p.Ack = 4711 }

// windows makes of a packet that of a server which is no Linux: it counts for the whole host and begins with TTL 128.
func windows(p *evidence.Packet) {
	p.TTL = 128 - 7
	if p.From == up {
		p.ID += 40000
		noStamp(p)
	}
}

// idle is a connection on which nothing is outstanding, and nothing came by for a second.
func idle() *story { return asked().packet(1*sec, down, evidence.ACK, 0) }

// Marks that no honest stack leaves are certain, those that speak against the stack that was seen before are as many as they are, and
// what other stacks write honestly is no mark of theirs.
func TestForgeries(t *testing.T) {
	const rst, ack = evidence.RST, evidence.ACK
	tests := []struct {
		name  string
		story *story
		want  string
		least cause.Strength
		most  cause.Strength
	}{
		{"three with ACK, the window growing by one", idle().packet(1500*ms, up, rst|ack, 0, noStamp, window(1980)).
			packet(1500*ms, up, rst|ack, 0, noStamp, window(1981)).packet(1500*ms, up, rst|ack, 0, noStamp, window(1982)), "injected_reset", cause.Conclusive, cause.Conclusive},
		{"three with ACK, the TTL growing by one", idle().packet(1500*ms, up, rst|ack, 0, noStamp, ttl(60)).
			packet(1500*ms, up, rst|ack, 0, noStamp, ttl(61)).packet(1500*ms, up, rst|ack, 0, noStamp, ttl(62)), "injected_reset", cause.Conclusive, cause.Conclusive},
		{"a packet turned around", asked().packet(1*sec, down, evidence.PSH|ack, 100, id(31000), window(777)).
			packet(1005*ms, up, rst, 0, bare, id(31000), window(777), ttl(60)), "injected_reset", cause.Conclusive, cause.Conclusive},
		{"Suricata rejects", asked().packet(1*sec, down, evidence.PSH|ack, 100, window(777)).
			packet(1001*ms, up, rst|ack, 0, noStamp, noDF, id(0), window(777), ttl(63)), "injected_reset", cause.Conclusive, cause.Conclusive},
		{"an answer to the SYN that miscounts", capture().packet(0, down, evidence.SYN, 0, ttl(64)).
			packet(5*ms, up, rst|ack, 0, noStamp, func(p *evidence.Packet) { p.Seq, p.Ack, p.Window = 0, 1000, 0 }).
			packet(20*ms, up, evidence.SYN|ack, 0, func(p *evidence.Packet) { p.Ack = 1001 }).packet(21*ms, down, rst, 0, bare), "injected_reset", cause.Conclusive, cause.Conclusive},
		{"the SYN is refused and accepted", capture().packet(0, down, evidence.SYN, 0).
			packet(5*ms, up, rst|ack, 0, noStamp, func(p *evidence.Packet) { p.Seq, p.Ack, p.Window = 0, 1001, 0 }).
			packet(20*ms, up, evidence.SYN|ack, 0, func(p *evidence.Packet) { p.Ack = 1001 }).packet(21*ms, down, rst, 0, bare), "injected_reset", cause.Conclusive, cause.Conclusive},
		{"a second one, further ahead than anything sent", asked().packet(1*sec, down, evidence.PSH|ack, 100).packet(1020*ms, up, rst, 0, bare).
			packet(1020*ms, up, rst, 0, bare, ahead(12503)), "injected_reset", cause.Likely, cause.Likely},
		{"a bare one out of nowhere, and the peer goes on", idle().packet(1500*ms, up, rst, 0, bare).
			packet(1600*ms, up, evidence.PSH|ack, 50), "injected_reset", cause.Likely, cause.Likely},
		{"junk and no DF", idle().packet(1500*ms, up, rst, 0, bare, junkAck, noDF, id(999)), "injected_reset", cause.Conclusive, cause.Conclusive},

		{"an old Linux kernel's answer", asked().packet(1*sec, down, evidence.PSH|ack, 100).packet(1020*ms, up, rst, 0, bare, id(31337)), "stale_connection", cause.Likely, cause.Likely},
		{"a Linux abort", idle().packet(1500*ms, up, rst|ack, 0), "app_abort", cause.Possible, cause.Likely},
		{"a Linux abort after a lost packet", idle().packet(1500*ms, up, rst|ack, 0, func(p *evidence.Packet) { p.ID += 2; p.Seq += 700 }), "app_abort", cause.Possible, cause.Likely},
		{"gVisor aborts", gvisor().packet(1500*ms, up, rst|ack, 0, id(0), window(0)), "app_abort", cause.Possible, cause.Likely},
		{"Windows aborts", other().packet(1500*ms, up, rst|ack, 0, windows, window(0)), "app_abort", cause.Possible, cause.Likely},
		{"Windows aborts with a bare one", other().packet(1500*ms, up, rst, 0, set(bare, windows), junkAck), "app_abort", cause.Possible, cause.Possible},
		{"a host that forgot answers acknowledgements", asked().packet(1*sec, up, ack, 1448).packet(1001*ms, up, ack, 2896).
			packet(1003*ms, down, ack, 0, acks(-4344)).packet(1004*ms, down, ack, 0, acks(-2896)).packet(1005*ms, down, ack, 0).
			packet(1023*ms, up, rst, 0, bare, ahead(^uint32(4344-1))).packet(1024*ms, up, rst, 0, bare, ahead(^uint32(2896-1))).
			packet(1025*ms, up, rst, 0, bare), "stale_connection", cause.Likely, cause.Likely},
		{"packets overtake each other", idle().packet(1500*ms, up, rst|ack, 0).packet(1501*ms, up, ack, 0), "app_abort", cause.Possible, cause.Likely},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ev := test.story.evidence()
			v := diagnose.Diagnose(ev)
			if v.Cause != test.want || v.Confidence < test.least || v.Confidence > test.most {
				t.Errorf("got %s %s (%s, for %v), want %s from %s to %s", v.Confidence, v.Cause, v.Sentence, v.For, test.want, test.least, test.most)
			}
			for i := range ev.Observations {
				part := *ev
				part.Observations = slices.Delete(slices.Clone(ev.Observations), i, i+1)
				if v := diagnose.Diagnose(&part); v.Confidence == cause.Conclusive && v.Cause != test.want {
					t.Errorf("without %+v it is conclusively %s (%s)", ev.Observations[i], v.Cause, v.Sentence)
				}
			}
		})
	}
}

// gvisor is a server that writes no IP IDs.
func gvisor() *story {
	return capture().packet(0, down, evidence.SYN, 0).packet(20*ms, up, evidence.SYN|evidence.ACK, 0).packet(20*ms, down, evidence.ACK, 0).
		packet(30*ms, down, evidence.PSH|evidence.ACK, 100).packet(50*ms, up, evidence.ACK, 0, id(0)).
		packet(60*ms, up, evidence.PSH|evidence.ACK, 50, id(0)).packet(60*ms, down, evidence.ACK, 0)
}

func other() *story {
	return capture().packet(0, down, evidence.SYN, 0).packet(20*ms, up, evidence.SYN|evidence.ACK, 0, windows).packet(20*ms, down, evidence.ACK, 0).
		packet(30*ms, down, evidence.PSH|evidence.ACK, 100).packet(50*ms, up, evidence.ACK, 0, windows).
		packet(60*ms, up, evidence.PSH|evidence.ACK, 50, windows).packet(60*ms, down, evidence.ACK, 0)
}
