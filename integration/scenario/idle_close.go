package scenario

import (
	"time"

	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "server-idle-close", Cause: "idle_close", Side: diagnose.SideUpstream,
		Story: "The server closes a connection on which nothing has been said since its answer 1.2 s ago.",
		Run: talk(
			steps(lab.Read(100), lab.Write(100), lab.Sleep(1200*time.Millisecond), lab.Close()),
			steps(lab.Write(100), lab.Read(100), lab.ReadAll())),
	})
}
