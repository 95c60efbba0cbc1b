package trial

import (
	"context"
	"math/rand/v2"
	"net"
	"time"

	"whyreset/diagnose"
	"whyreset/integration/lab"
	"whyreset/integration/scenario"
)

// player plays one trial. The far end is the one on the side where the connection ends, the other end the one that learns of
// it through the proxy.
type player struct {
	*scenario.Env
	ctx   context.Context
	rng   *rand.Rand
	side  diagnose.Side
	delay time.Duration
	line  *scenario.Line
	ended chan struct{} // closed when the other end has ended
}

func (p *player) upstream() bool { return p.side == diagnose.SideUpstream }

// script is what both ends do.
type script struct{ far, other []lab.Step }

func (s *script) farDoes(all ...lab.Step)   { s.far = append(s.far, all...) }
func (s *script) otherDoes(all ...lab.Step) { s.other = append(s.other, all...) }

// open makes a server and the way to it.
func (p *player) open() (err error) {
	p.line, err = p.Open()
	return err
}

// talk plays the script on a line. The other end reads to the end of the stream in the end, and the far end keeps its
// connection until then.
func (p *player) talk(s script) (scenario.Outcome, error) {
	s.otherDoes(lab.ReadAll(), tell(p.ended))
	s.farDoes(lab.Wait(p.ended))
	if p.upstream() {
		return p.line.Talk(p.ctx, s.far, s.other)
	}
	return p.line.Talk(p.ctx, s.other, s.far)
}

// traffic is a random exchange of both, after which each has read all that the other wrote. The client's first bytes have an answer.
func (p *player) traffic() (s script) {
	client, server := s.otherDoes, s.farDoes
	if !p.upstream() {
		client, server = server, client
	}
	p.exchange(client, server)
	for range p.rng.IntN(4) {
		p.pause(client, 15*time.Millisecond)
		switch p.rng.IntN(4) {
		case 0:
			p.exchange(client, server)
		case 1:
			p.send(client, server)
		case 2:
			p.send(server, client)
		case 3:
			asked, answered := p.size(), p.size()
			client(lab.Together([]lab.Step{lab.Write(asked)}, []lab.Step{lab.Read(answered)}))
			server(lab.Together([]lab.Step{lab.Read(asked)}, []lab.Step{lab.Write(answered)}))
		}
	}
	p.meet(&s)
	return s
}

type does func(...lab.Step)

func (p *player) exchange(client, server does) {
	p.send(client, server)
	p.pause(server, 5*time.Millisecond)
	p.send(server, client)
}

func (p *player) send(from, to does) {
	n := p.size()
	from(lab.Write(n))
	to(lab.Read(n))
}

// size is that of a message: mostly small, as messages are.
func (p *player) size() int64 {
	switch p.rng.IntN(8) {
	case 0:
		return 1 + p.rng.Int64N(4)
	case 1:
		return 1 + p.rng.Int64N(60_000)
	}
	return 1 + p.rng.Int64N(8_000)
}

func (p *player) pause(who does, most time.Duration) {
	if p.rng.IntN(2) == 0 {
		who(lab.Sleep(time.Duration(p.rng.Int64N(int64(most)))))
	}
}

// meet lets both go on when both have come here.
func (p *player) meet(s *script) {
	far, other := make(chan struct{}), make(chan struct{})
	s.farDoes(tell(far), lab.Wait(other))
	s.otherDoes(tell(other), lab.Wait(far))
}

// moment is a pause before something happens: none, one in which a delayed acknowledgement may still be due, or a silence.
func (p *player) moment() lab.Step {
	switch p.rng.IntN(3) {
	case 0:
		return lab.Sleep(time.Duration(p.rng.Int64N(int64(100 * time.Millisecond))))
	case 1:
		return lab.Sleep(silence + time.Duration(p.rng.Int64N(int64(300*time.Millisecond))))
	}
	return lab.Sleep(0)
}

// silence is what passes for one: longer than an application thinks something over.
const silence = 1100 * time.Millisecond

// do is a step that does something to the hosts.
func do(what string, fn func() error) lab.Step {
	return lab.Call(what, func(net.Conn) error { return fn() })
}

func tell(news chan struct{}) lab.Step {
	return do("tell", func() error {
		close(news)
		return nil
	})
}

// farHost is where the far end is.
func (p *player) farHost() *lab.Host {
	if p.upstream() {
		return p.Net.Server
	}
	return p.Net.Client
}

// port is that of the service, as the side's packets bear it.
func (p *player) port() uint16 {
	if p.upstream() {
		return p.line.Upstream.Port()
	}
	return p.line.To.Port()
}

// toFar is where what goes to the far end bears the service's port, in the words of nft and ss.
func (p *player) toFar() string { return p.direction("dport", "sport") }

// direction chooses by the side: upstream the service's port is that of the far end, downstream that of the proxy.
func (p *player) direction(up, down string) string {
	if p.upstream() {
		return up
	}
	return down
}
