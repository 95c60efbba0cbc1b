// Package record is the one schema of the JSON records: written by the proxy, read back by the tools that
// explain and count.
//
//	line := record.Append(nil, &record.Connection{ID: record.NewID(start), Listener: "db", Start: start, …})
//	c, err := record.Parse(line)
//
// A record is one line, named after the Elastic Common Schema where it has a name and "whyreset.*" where it
// has none; Fields lists every field, and README.md is made from it. It carries its evidence whole, so that
// a later version can explain an old record anew: Parse(Append(c)).Evidence equals c.Evidence.
//
// It opens no file and decides nothing: what is recorded, and where to, is package telemetry's.
package record
