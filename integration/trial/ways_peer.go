package trial

import (
	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
	"whyreset/integration/scenario"
)

// Reasons of enum sk_rst_reason that tcp_disconnect, which is also tcp_abort's, and tcp_close give.
var (
	disconnected = []string{evidence.ReasonState}
	unread       = []string{evidence.ReasonAbortOnClose}
)

// peerWays are what an application, or somebody at its host, does that makes its kernel send a reset.
var peerWays = []way{
	{id: "abort", cause: "app_abort", reasons: disconnected, story: "An end aborts (SO_LINGER 0) while all is said.", play: func(p *player) (scenario.Outcome, error) {
		return p.afterTraffic(func(s *script) {
			s.farDoes(p.moment(), lab.Reset())
		})
	}},
	{id: "abort-asked", cause: "app_abort", reasons: disconnected, story: "An end reads what it was sent and aborts instead of answering.", play: func(p *player) (scenario.Outcome, error) {
		return p.afterTraffic(func(s *script) {
			p.send(s.otherDoes, s.farDoes)
			s.farDoes(p.moment(), lab.Reset())
		})
	}},
	{id: "abort-sending", cause: "app_abort", reasons: disconnected, story: "An end aborts in the middle of what it sends.", play: func(p *player) (scenario.Outcome, error) {
		return p.afterTraffic(func(s *script) {
			s.farDoes(lab.Write(p.size()), lab.Reset())
		})
	}},
	// With bytes unread an abort goes the same way through the kernel as a close: tcp_close looks at the queue first.
	{id: "abort-receiving", cause: "app_abort", reasons: []string{evidence.ReasonState, evidence.ReasonAbortOnClose}, also: []string{"app_close_unread"}, story: "An end aborts while more comes in.", play: func(p *player) (scenario.Outcome, error) {
		return p.afterTraffic(func(s *script) {
			n := 20_000 + p.rng.Int64N(200_000)
			s.otherDoes(lab.Write(n))
			s.farDoes(lab.Read(n/2), lab.Reset())
		})
	}},
	{id: "close-unread", cause: "app_close_unread", reasons: unread, story: "An end closes with bytes unread.", play: func(p *player) (scenario.Outcome, error) {
		return p.afterTraffic(func(s *script) {
			n := p.size()
			read := p.rng.Int64N(n)
			s.otherDoes(lab.Write(n))
			s.farDoes(lab.Read(read), lab.WaitUnread(int(min(n-read, 20_000))), p.moment(), lab.Close())
		})
	}},
	{id: "close-unread-answered", cause: "app_close_unread", reasons: unread, story: "An end answers an upload without reading it to its end, and closes.", play: func(p *player) (scenario.Outcome, error) {
		return p.afterTraffic(func(s *script) {
			n := 5_000 + p.rng.Int64N(40_000)
			s.otherDoes(lab.Write(n))
			s.farDoes(lab.Read(100), lab.WaitUnread(int(n/2)), lab.Write(p.size()), lab.Close())
		})
	}},
	{id: "killed-unread", cause: "app_close_unread", reasons: unread, sides: atServer, story: "The server process is killed with bytes unread.", play: func(p *player) (scenario.Outcome, error) {
		return p.killed(int(p.size()), 1+p.rng.IntN(10_000))
	}},
	{id: "socket-destroyed", cause: "peer_socket_destroyed", reasons: disconnected, also: []string{"app_abort"}, needs: []lab.Feature{lab.SS},
		story: "Somebody at an end's host destroys its socket (ss -K).", play: func(p *player) (scenario.Outcome, error) {
			return p.afterTraffic(func(s *script) {
				s.otherDoes(p.moment(), p.kill(p.farHost(), p.direction("sport", "dport")))
			})
		}},
	{id: "abort-at-accept", cause: "abort_at_accept", reasons: disconnected, sides: atServer, story: "The server takes the connection and aborts it at once.", play: func(p *player) (scenario.Outcome, error) {
		if err := p.open(); err != nil {
			return scenario.Outcome{}, err
		}
		return p.talk(script{far: []lab.Step{lab.Reset()}})
	}},
	{id: "probe", cause: "probe", reasons: disconnected, sides: atClient, story: "A client connects, sends nothing and leaves.", play: func(p *player) (scenario.Outcome, error) {
		if err := p.open(); err != nil {
			return scenario.Outcome{}, err
		}
		var s script
		p.meet(&s)
		leave := lab.Close()
		if p.rng.IntN(2) == 0 {
			leave = lab.Reset()
		}
		s.farDoes(p.moment(), leave)
		return p.talk(s)
	}},
}

// afterTraffic plays random traffic and what is added to it.
func (p *player) afterTraffic(add func(*script)) (scenario.Outcome, error) {
	if err := p.open(); err != nil {
		return scenario.Outcome{}, err
	}
	s := p.traffic()
	add(&s)
	return p.talk(s)
}

// killed kills the server process when it has read so many bytes of the client's and has so many more unread.
func (p *player) killed(read, unread int) (scenario.Outcome, error) {
	if err := p.open(); err != nil {
		return scenario.Outcome{}, err
	}
	server, ready, err := p.ServeUntilKilled(p.line.Listener, read, unread)
	if err != nil {
		return scenario.Outcome{}, err
	}
	kill := func() error {
		if err := ready(); err != nil {
			return err
		}
		server.Kill()
		return nil
	}
	return p.Client(p.ctx, p.line.To, lab.Write(int64(read+unread)), p.moment(), do("kill the server", kill), lab.ReadAll()), nil
}
