package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"whyreset/diagnose"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/evidence"
	"whyreset/diagnose/record"
)

// makeRecords is a command for sessions: records FILE writes a log with a connection refused, one that was explained differently then,
// one that ended clean, and one whose evidence the record does not carry; with a notice, lines of others, and one record wrapped.
func makeRecords(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: records FILE")
	}
	refused, then, clean, cut := aRecord(1, refusedEvents()), aRecord(2, refusedEvents()), aRecord(3, cleanEvents()), aRecord(4, refusedEvents())
	then.Verdict.Cause, then.Verdict.Confidence, then.By.Version = "unknown", cause.Possible, "0.1.0"
	cut.Evidence = nil
	wrapped, err := json.Marshal(map[string]string{"log": string(record.Append(nil, clean)), "stream": "stdout", "time": "2026-11-24T09:30:12.5Z"})
	ts.Check(err)
	notice := record.Notice{Time: refused.Start, Level: record.Info, Code: record.Started, Message: "listening on 127.0.0.1:15432"}
	var log []byte
	log = append(notice.Append(log), "another program's line\n"...)
	log = record.Append(log, refused)
	log = append(record.Append(log, then), "{\"msg\":\"another program's JSON\"}\n"...)
	log = append(append(log, wrapped...), '\n')
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), record.Append(log, cut), 0o644))
}

var recordStart = time.Date(2026, 11, 24, 9, 30, 0, 0, time.UTC)

func aRecord(number uint64, observed []evidence.Observation) *record.Connection {
	client, server := netip.MustParseAddrPort(fmt.Sprintf("10.0.0.7:%d", 50000+number)), netip.MustParseAddrPort("10.0.0.5:5432")
	own, ownUp := netip.MustParseAddrPort("10.0.0.1:15432"), netip.MustParseAddrPort("10.0.0.1:40312")
	ev := &evidence.Evidence{Client: client, OwnDown: own, Server: server, OwnUp: ownUp, Observations: observed,
		Coverage: evidence.Coverage{Sockets: evidence.Watched, Packets: "no CAP_NET_RAW", Witness: "not root"}}
	return &record.Connection{
		By: record.Identity{Version: "1.0.0", Host: "edge-1"}, ID: record.NewID(recordStart), Sequence: number, Listener: "db", Target: "db:5432",
		Start: recordStart, Duration: 12 * time.Millisecond, Destination: server, Downstream: record.Leg{Local: own, Remote: client},
		Upstream: record.Leg{Local: ownUp, Remote: server}, Evidence: ev, Verdict: diagnose.Diagnose(ev),
	}
}

func refusedEvents() []evidence.Observation {
	return []evidence.Observation{
		{Leg: evidence.Downstream, What: evidence.Socket{Call: evidence.Accept, Saw: evidence.Connected}},
		{At: 12 * time.Millisecond, Leg: evidence.Upstream, What: evidence.Socket{Call: evidence.Connect, Saw: evidence.Error, Errno: evidence.ECONNREFUSED}},
		{At: 12 * time.Millisecond, Leg: evidence.Downstream, What: evidence.PassedReset},
	}
}

func cleanEvents() []evidence.Observation {
	const ms = time.Millisecond
	return []evidence.Observation{
		{Leg: evidence.Downstream, What: evidence.Socket{Call: evidence.Accept, Saw: evidence.Connected}},
		{At: ms, Leg: evidence.Upstream, What: evidence.Socket{Call: evidence.Connect, Saw: evidence.Connected}},
		{At: 2 * ms, Leg: evidence.Downstream, What: evidence.Socket{Call: evidence.Recv, Saw: evidence.Data}},
		{At: 3 * ms, Leg: evidence.Upstream, What: evidence.Socket{Call: evidence.Recv, Saw: evidence.Data}},
		{At: 10 * ms, Leg: evidence.Downstream, What: evidence.Socket{Call: evidence.Poll, Saw: evidence.FIN}},
		{At: 10 * ms, Leg: evidence.Upstream, What: evidence.PassedFIN},
		{At: 11 * ms, Leg: evidence.Upstream, What: evidence.Socket{Call: evidence.Poll, Saw: evidence.FIN}},
		{At: 11 * ms, Leg: evidence.Downstream, What: evidence.PassedFIN},
		{At: 12 * ms, Leg: evidence.Downstream, What: evidence.Transfer{In: 10, Out: 10, LastIn: 2 * ms, LastOut: 3 * ms}},
		{At: 12 * ms, Leg: evidence.Upstream, What: evidence.Transfer{In: 10, Out: 10, LastIn: 3 * ms, LastOut: 2 * ms}},
		{At: 12 * ms, What: evidence.Closed},
	}
}
