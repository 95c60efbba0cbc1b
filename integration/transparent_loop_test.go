package integration

import (
	"strings"
	"testing"

	"whyreset/config"
	"whyreset/diagnose/record"
	"whyreset/proxy/rules"
)

// A redirect without exemption, made by hand, is a loop. It is refused at once, with one record that says so.
func TestTransparentLoop(t *testing.T) {
	t.Parallel()
	r := startPlaced(t, atClient, rules.Redirect, rules.SourceOwn, config.Listener{})
	if err := r.Client.NFT("table inet loop { chain o { type nat hook output priority -100; tcp dport 80 redirect to :15001; }; }"); err != nil {
		t.Fatal(err)
	}
	const connections = 10
	for range connections {
		r.dialInVain(r.server(4, 80))
		r.dialInVain(r.server(6, 80))
	}
	r.stop.Close()
	records, loops := 0, 0
	for {
		line, err := r.records.ReadBytes('\n')
		if err != nil {
			break
		}
		c, err := record.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		records++
		if c.Verdict.Cause == "proxy_refused" && strings.Contains(c.Verdict.Sentence, "come back") {
			loops++
		}
	}
	// Another loop of events may accept a connection a moment before it is known as ours: then the next hop finds it.
	if loops != 2*connections || records < 4*connections || records > 10*connections {
		t.Errorf("%d connections became %d, %d of them refused as loops, want about %d and %d", 2*connections, records, loops, 4*connections, 2*connections)
	}
}
