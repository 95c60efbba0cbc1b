package scenario

import (
	"time"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "idle-timeout", Cause: "proxy_idle_timeout", Side: diagnose.SideProxy, Ours: true,
		Story: "Client and server are silent for longer than the proxy's timeouts.idle of 200 ms.",
		Proxy: Settings{Idle: 200 * time.Millisecond},
		Run: talk(
			steps(lab.Read(100), lab.Write(100), lab.ReadAll()),
			steps(lab.Write(100), lab.Read(100), lab.ReadAll())),
	})
}
