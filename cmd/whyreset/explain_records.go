package main

import (
	"errors"
	"fmt"

	"whyreset/diagnose/record"
)

// recordFound is a record and the place where it stands.
type recordFound struct {
	*record.Connection
	line int
}

// damagesTold is how many damaged records of a file are told one by one.
const damagesTold = 5

// readRecords reads the records of a file.
func (e *explainer) readRecords(f *explainFile, r *record.Reader) {
	for {
		c, err := r.Next()
		var damage *record.DamageError
		switch {
		case err == nil:
			e.records++
			e.found <- finding{recorded: &recordFound{c, r.Line()}}
			continue
		case errors.As(err, &damage):
			if r.Counts().Damaged <= damagesTold {
				e.complain(fmt.Errorf("%s: %w", f.name, err))
			}
			continue
		}
		n := r.Counts()
		if n.Damaged > damagesTold {
			e.complain(fmt.Errorf("%s: %d more records are damaged", f.name, n.Damaged-damagesTold))
		}
		e.readStopped(f, err, plural(int(n.Records), "record"))
		if n.Records+n.Others+n.Damaged == 0 && !e.cut {
			e.complain(fmt.Errorf("%s is text of %s, none of which is of whyreset; allowed are captures (pcap, pcapng) and records of whyreset", f.name, plural(int(n.Foreign), "line")))
		}
		return
	}
}
