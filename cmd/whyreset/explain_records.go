package main

import (
	"errors"
	"fmt"

	"whyreset/diagnose/record"
	"whyreset/diagnose/replay"
)

// recordFound is a record and the place where it stands.
type recordFound struct {
	*record.Connection
	file *explainFile
	line int
}

// damagesTold is how many damaged records of a file are told one by one.
const damagesTold = 5

// readRecords reads the records of a file.
func (e *explainer) readRecords(f *explainFile, r *replay.Records) {
	damaged := 0
	for {
		c, err := r.Next()
		var one *replay.RecordError
		switch {
		case err == nil:
			e.records++
			e.found <- finding{recorded: &recordFound{c, f, r.Lines}}
			continue
		case errors.As(err, &one):
			if damaged++; damaged <= damagesTold {
				e.complain(fmt.Errorf("%s: %w", f.name, err))
			}
			continue
		}
		if damaged > damagesTold {
			e.complain(fmt.Errorf("%s: %d more records are damaged", f.name, damaged-damagesTold))
		}
		e.readStopped(f, err, fmt.Sprintf("%d lines", r.Lines))
		break
	}
	if r.Ours == 0 && e.ctx.Err() == nil {
		e.complain(fmt.Errorf("%s is text of %d lines, none of them a record of whyreset; allowed are captures (pcap, pcapng) and records", f.name, r.Lines))
	}
}
