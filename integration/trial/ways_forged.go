package trial

import (
	"fmt"
	"time"

	"whyreset/integration/lab"
	"whyreset/integration/scenario"
)

// forgedWays are resets that the router writes in the far end's name.
var forgedWays = []way{
	{id: "forged", cause: "injected_reset", onPath: true, story: "A third party on the router forges a reset in a far end's name while nobody speaks.",
		play: func(p *player) (scenario.Outcome, error) {
			return p.forged(func(s *script, forger *forger) {
				s.otherDoes(p.moment(), forger.look(), forger.send(0))
			})
		}},
	{id: "forged-answer", cause: "injected_reset", onPath: true, story: "A third party on the router forges a reset while a packet and its answer are under way.",
		play: func(p *player) (scenario.Outcome, error) {
			return p.forged(func(s *script, forger *forger) {
				wait := time.Duration(p.rng.Int64N(int64(2*p.delay + 5*time.Millisecond)))
				s.otherDoes(p.moment(), forger.look(), lab.Write(p.size()), lab.Sleep(wait), forger.send(0))
			})
		}},
	{id: "forged-in-vain", cause: "ignored_reset", also: []string{"clean_close"}, onPath: true, story: "The forger's sequence number lies in the window and is not the next one: a receiver takes no notice (RFC 5961 §3.2).",
		play: func(p *player) (scenario.Outcome, error) {
			return p.forged(func(s *script, forger *forger) {
				s.otherDoes(forger.look(), forger.send(1+p.rng.Uint32N(10_000)))
				p.answered(s)
				s.farDoes(lab.Close())
			})
		}},
}

func (p *player) forged(add func(*script, *forger)) (scenario.Outcome, error) {
	if err := p.open(); err != nil {
		return scenario.Outcome{}, err
	}
	f, err := p.forger()
	if err != nil {
		return scenario.Outcome{}, err
	}
	s := p.traffic()
	add(&s, f)
	if p.rng.IntN(2) == 0 {
		s.farDoes(lab.Wait(p.ended), lab.Sleep(300*time.Millisecond)) // as one who was told nothing, and not at the same moment
	}
	return p.talk(s)
}

// forger sits on the router and sees what goes by on the side.
type forger struct {
	host    *lab.Host
	capture *lab.Capture
	port    uint16 // the service's
	toFar   bool   // packets to the far end are those to the port, not from it
	disguise
	far, ours *seen // the last packets of both
}

// disguise is what the forger takes over from the far end.
type disguise struct {
	TTL, ID, Window bool
	ack             ack
	guess           uint16 // of what it does not take over
}

// ack is what stands in the acknowledgement field.
type ack int

const (
	noAck     ack = iota // nothing, as in a kernel's answer
	strayAck             // a number without the flag
	flagAck              // the right number, with the flag, as in a socket's abort
	acksTotal = iota
)

func (p *player) forger() (*forger, error) {
	f := &forger{host: p.Net.Router, port: p.port(), toFar: p.upstream()}
	f.TTL, f.ID, f.Window = p.rng.IntN(2) == 0, p.rng.IntN(2) == 0, p.rng.IntN(2) == 0
	f.ack, f.guess = ack(p.rng.IntN(acksTotal)), uint16(p.rng.Uint32())
	var err error
	f.capture, err = f.host.Capture(p.direction("toserver", "toclient"))
	return f, err
}

// look is a step that waits until all is quiet, and takes down who is where.
func (f *forger) look() lab.Step {
	return do("look", func() error {
		time.Sleep(quiet)
		frames, err := f.capture.Frames()
		if err != nil {
			return err
		}
		for _, frame := range frames {
			s, ok := readFrame(frame.Bytes)
			switch {
			case !ok:
			case s.tcp.SrcPort == f.port:
				f.keep(s, f.toFar)
			case s.tcp.DstPort == f.port:
				f.keep(s, !f.toFar)
			}
		}
		if f.far == nil || f.ours == nil {
			return fmt.Errorf("%d frames, and none of both ends", len(frames))
		}
		return nil
	})
}

// quiet is longer than an acknowledgement is delayed (TCP_ATO_MIN), with the longest way.
const quiet = 40*time.Millisecond + 2*longestDelay

func (f *forger) keep(s *seen, far bool) {
	last := &f.ours
	if far {
		last = &f.far
	}
	if *last != nil {
		s.end = later(s.end, (*last).end)
		if s.acks = s.acks || (*last).acks; (*last).acks {
			s.acked = later(s.acked, (*last).acked)
		}
	}
	*last = s
}

func later(a, b uint32) uint32 {
	if int32(a-b) < 0 {
		return b
	}
	return a
}

// send is a step that sends the reset, so many numbers ahead of the next one.
func (f *forger) send(ahead uint32) lab.Step {
	return do("forge a reset", func() error {
		packet := f.far.packet(f.disguise, f.ours, ahead)
		return f.host.Send(packet)
	})
}
