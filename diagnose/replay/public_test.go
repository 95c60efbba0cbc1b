package replay

import (
	"path/filepath"
	"strconv"
	"testing"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
)

// contradicts says whether a conclusive cause cannot be true where the truth is known.
var contradicts = map[string]func(string) bool{
	"injected": func(id string) bool {
		return id != "injected_reset" && id != "ignored_reset" && id != "firewall_reject"
	},
	"closed-port": func(id string) bool { return id != "port_closed" && id != "firewall_reject" },
	"synthetic":   func(string) bool { return false }, // no stack stands behind it
}

// TestPublicTruth explains every connection with a reset of the public captures: no verdict that is conclusive may contradict what is
// known.
func TestPublicTruth(t *testing.T) {
	files := map[string][]*Connection{}
	count := map[string]int{}
	for _, row := range readReference(t) {
		file := row["file"]
		if _, read := files[file]; !read {
			files[file] = connectionsOf(t, filepath.Join(publicCaptures, file))
		}
		for _, c := range files[file] {
			if c.Reset == nil || strconv.Itoa(c.Reset.Frame) != row["rst_frame"] {
				continue
			}
			ev := c.Evidence()
			v := diagnose.Diagnose(&ev)
			count[v.Confidence.String()+" "+v.Cause]++
			if row["truth"] == "-" {
				continue
			}
			wrong, known := contradicts[row["truth"]]
			if !known {
				t.Errorf("%s: truth %q is none that is known here", file, row["truth"])
			} else if v.Confidence == cause.Conclusive && wrong(v.Cause) {
				t.Errorf("%s, frame %s: got conclusively %s (%s), want %s", file, row["rst_frame"], v.Cause, v.Sentence, row["truth"])
			}
			t.Logf("%s, frame %s: %s: %s %s", file, row["rst_frame"], row["truth"], v.Confidence, v.Cause)
		}
	}
	t.Log(count)
}
