package trial

import (
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
	"whyreset/integration/scenario"
)

// endWays are how an end says that it is done: with a FIN.
var endWays = []way{
	{id: "close", cause: "clean_close", story: "The server has answered, and an end closes.", play: func(p *player) (scenario.Outcome, error) {
		return p.afterTraffic(func(s *script) {
			p.answered(s)
			p.pause(s.farDoes, 50*time.Millisecond)
			s.farDoes(lab.Close())
		})
	}},
	{id: "half-close", cause: "clean_close", sides: atClient, story: "The client ends its side, and the server answers and closes.", play: func(p *player) (scenario.Outcome, error) {
		return p.afterTraffic(func(s *script) {
			s.farDoes(lab.Write(p.size()), lab.CloseWrite(), lab.ReadAll())
			s.otherDoes(lab.ReadAll(), lab.Write(p.size()), lab.Close())
		})
	}},
	{id: "hang-up", cause: "closed_unanswered", sides: atServer, story: "The server reads a request and closes.", play: func(p *player) (scenario.Outcome, error) {
		return p.afterTraffic(func(s *script) {
			p.send(s.otherDoes, s.farDoes)
			s.farDoes(p.moment(), lab.Close())
		})
	}},
	{id: "killed", cause: "closed_unanswered", sides: atServer, story: "The server process is killed when it has read all.", play: func(p *player) (scenario.Outcome, error) {
		return p.killed(int(p.size()), 0)
	}},
	{id: "idle-close", cause: "idle_close", story: "An end closes after a silence.", play: func(p *player) (scenario.Outcome, error) {
		return p.afterTraffic(func(s *script) {
			p.answered(s)
			s.farDoes(lab.Sleep(silence+100*time.Millisecond), lab.Close())
		})
	}},
	{id: "late-write", cause: "write_after_close", reasons: []string{evidence.ReasonAbortOnData, evidence.ReasonTimeWait, evidence.ReasonNoSocket, evidence.ReasonFlags}, story: "An end closes, and the other one goes on writing.", play: func(p *player) (scenario.Outcome, error) {
		return p.afterTraffic(func(s *script) {
			p.answered(s)
			closed := make(chan struct{})
			s.farDoes(p.moment(), lab.Close(), tell(closed))
			s.otherDoes(lab.Wait(closed)) // else it could be bytes unread that are closed upon
			if p.rng.IntN(2) == 0 {
				s.otherDoes(lab.ReadAll())
			}
			s.otherDoes(lab.WriteUntilCut())
		})
	}},
}

// answered is a last exchange, so that nothing is owed.
func (p *player) answered(s *script) {
	client, server := does(s.otherDoes), does(s.farDoes)
	if !p.upstream() {
		client, server = server, client
	}
	p.exchange(client, server)
	p.meet(s)
}
