// Package telemetry writes the records where the user wants them: as JSON lines, or as lines for people on
// a terminal.
//
//	w, err := telemetry.Open(telemetry.Options{Output: "stdout", Format: telemetry.Auto, SampleClean: 1})
//	w.Connection(&record.Connection{…})
//	w.Notice(record.Notice{Level: record.Error, Code: record.AcceptFailed, Message: "…"})
//	err = w.Close(ctx)
//
// Nothing that happens to the output stops a caller. Records wait in a bounded queue while it is slow,
// stuck or full; what finds no room is dropped, ordinary records before harmful ones and the newest first,
// counted exactly, and told once the output works again. An output that failed is tried again until Close.
//
// It does not rotate files: whoever does calls Reopen.
package telemetry
