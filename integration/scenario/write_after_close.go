package scenario

import (
	"whyreset/diagnose"
	"whyreset/integration/lab"
)

func init() {
	register(Scenario{
		ID: "write-after-close", Cause: "write_after_close", Side: diagnose.SideUpstream,
		Story: "The server answers and closes; the client sends another request all the same.",
		Run: talk(
			steps(lab.Read(100), lab.Write(100), lab.Close()),
			steps(lab.Write(100), lab.ReadAll(), lab.WriteUntilCut())),
	})
}
