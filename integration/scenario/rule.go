package scenario

import (
	"context"
	"fmt"
	"slices"
	"time"

	"whyreset/integration/lab"
)

// Rule is a script of nft with one rule in one chain. Several of them in one host need different hooks.
func Rule(hook, format string, args ...any) string {
	return fmt.Sprintf("table inet scenario_%s { chain c { type filter hook %s priority 0; %s; }; }",
		hook, hook, fmt.Sprintf(format, args...))
}

// silence is a pause that is longer than what passes for a moment.
const silence = 1100 * time.Millisecond

// talkThen has one exchange and, after a pause, does something to the network and lets the client send a second request.
// The act comes last: a delayed acknowledgement must not be the packet that meets it.
func (e *Env) talkThen(ctx context.Context, pause time.Duration, act func(*Line) error) (Outcome, error) {
	l, err := e.Open()
	if err != nil {
		return Outcome{}, err
	}
	return l.talkThen(ctx, pause, act)
}

func (l *Line) talkThen(ctx context.Context, pause time.Duration, act func(*Line) error) (Outcome, error) {
	return l.Talk(ctx,
		steps(lab.Read(100), lab.Write(100), l.env.UntilClientEnds()),
		steps(lab.Write(100), lab.Read(100), lab.Sleep(pause), do("the cause", func() error { return act(l) }), lab.Write(100), lab.ReadAll()))
}

// answerThen is talkThen the other way round: it is the answer to the second request that is sent after the act.
func (e *Env) answerThen(ctx context.Context, pause time.Duration, act func(*Line) error) (Outcome, error) {
	l, err := e.Open()
	if err != nil {
		return Outcome{}, err
	}
	ended := make(chan struct{})
	return l.Talk(ctx,
		steps(lab.Read(100), lab.Write(100), lab.Read(100), lab.Sleep(pause), do("the cause", func() error { return act(l) }),
			lab.Write(100), lab.ReadAll(), tell(ended)),
		steps(lab.Write(100), lab.Read(100), lab.Write(100), lab.Wait(ended)))
}

// talkWhile has one exchange and, after a pause, lets the server do something with its end of the connection and the client then
// send a second request.
func (e *Env) talkWhile(ctx context.Context, pause time.Duration, act func(*Line) []lab.Step) (Outcome, error) {
	l, err := e.Open()
	if err != nil {
		return Outcome{}, err
	}
	now, done := make(chan struct{}), make(chan struct{})
	return l.Talk(ctx,
		slices.Concat(steps(lab.Read(100), lab.Write(100), lab.Wait(now)), act(l), steps(tell(done))),
		steps(lab.Write(100), lab.Read(100), lab.Sleep(pause), tell(now), lab.Wait(done), lab.Write(100), lab.ReadAll()))
}
