package scenario

import (
	"context"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "server-closes-unread", Cause: "app_close_unread", Side: diagnose.SideUpstream,
		Story: "The server closes without having read the request, and so its kernel sends a reset.",
		Run: talk(
			steps(lab.WaitUnread(100), lab.Close()),
			steps(lab.Write(100), lab.ReadAll())),
	})
	register(Scenario{
		ID: "server-killed-unread", Cause: "app_close_unread", Side: diagnose.SideUpstream,
		Story: "The server process is killed (SIGKILL) before it has read the request.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			return e.talkUntilKilled(ctx, 0, 100, 100)
		},
	})
	register(Scenario{
		ID: "early-answer", Cause: "app_close_unread", Side: diagnose.SideUpstream,
		Story: "The server answers an upload without reading it to its end, and closes: the reset may destroy the answer.",
		Run: talk(
			steps(lab.Read(100), lab.WaitUnread(30_000), lab.Write(200), lab.Close()),
			steps(lab.Write(40_000), lab.ReadAll())),
	})
	register(Scenario{
		ID: "early-answer-big", Cause: "app_close_unread", Side: diagnose.SideUpstream,
		Story: "The server answers a big upload without reading it to its end, and closes while the client is still sending.",
		Run: talk(
			steps(lab.Read(100), lab.WaitUnread(30_000), lab.Write(200), lab.Close()),
			steps(lab.Write(50_000_000), lab.ReadAll())),
	})
	register(Scenario{
		ID: "early-answer-in-order", Cause: "app_close_unread", Side: diagnose.SideUpstream,
		Story: "The server answers an upload it has not read, ends its side in order (FIN), and only then closes.",
		Run: func(ctx context.Context, e *Env) (Outcome, error) {
			answered := make(chan struct{})
			return e.Talk(ctx,
				steps(lab.Read(100), lab.WaitUnread(39_900), lab.Write(200), lab.CloseWrite(), lab.Wait(answered), lab.Close()),
				steps(lab.Write(40_000), lab.ReadAll(), tell(answered), lab.WaitGone()))
		},
	})
	register(Scenario{
		ID: "client-closes-unread", Cause: "app_close_unread", Side: diagnose.SideDownstream,
		Story: "The client closes without having read the answer.",
		Run: talk(
			steps(lab.Read(100), lab.Write(100), lab.ReadAll()),
			steps(lab.Write(100), lab.WaitUnread(100), lab.Close())),
	})
}

// talkUntilKilled kills the server process when it has read so many bytes of the client's and has so many more unread.
func (e *Env) talkUntilKilled(ctx context.Context, read, unread int, send int64) (Outcome, error) {
	l, err := e.Open()
	if err != nil {
		return Outcome{}, err
	}
	server, ready, err := e.ServeUntilKilled(l.Listener, read, unread)
	if err != nil {
		return Outcome{}, err
	}
	kill := func() error {
		if err := ready(); err != nil {
			return err
		}
		server.Kill()
		return nil
	}
	return e.Client(ctx, l.To, lab.Write(send), do("kill the server", kill), lab.ReadAll()), nil
}
