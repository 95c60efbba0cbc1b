package replay

import (
	"reflect"
	"time"

	"whyreset/diagnose"
	"whyreset/diagnose/evidence"
	"whyreset/diagnose/record"
)

// recordFault says what a record loses of the evidence of a capture; nothing is if it is empty.
func recordFault(ev evidence.Evidence) string {
	line := record.Append(nil, &record.Connection{ID: "x", File: "x.pcap", Start: time.Unix(0, 0), Duration: time.Hour,
		Downstream: record.Leg{Remote: ev.Client}, Upstream: record.Leg{Remote: ev.Server}, Evidence: &ev, Verdict: diagnose.Diagnose(&ev)})
	c, err := record.Parse(line)
	switch {
	case err != nil:
		return err.Error()
	case c.Evidence == nil:
		return "its record is cut"
	case !reflect.DeepEqual(*c.Evidence, ev):
		return "its record has other evidence: " + string(line)
	}
	return ""
}
