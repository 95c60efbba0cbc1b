package integration

import (
	"os/exec"
	"strings"
	"testing"

	"whyreset/config"
	"whyreset/diagnose"
	"whyreset/proxy/rules"
)

// Rules without exemption, made by hand, lead what the proxy dials back to it: a loop. It is refused at once, with one record
// that says so, and is no storm.
func TestTransparentLoop(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		at    stand
		mode  rules.Mode
		rules string
	}{
		{"redirected by the client's host", atClient, rules.Redirect, "chain o { type nat hook output priority -100; tcp dport 80 redirect to :15001; };"},
		{"redirected by a router", atRouter, rules.Redirect, `chain o { type nat hook output priority -100; tcp dport 80 redirect to :15001; };
			chain p { type nat hook prerouting priority -100; tcp dport 80 redirect to :15001; };`},
		{"tproxy on a router", atRouter, rules.TProxy, `chain o { type route hook output priority mangle; tcp dport 80 meta mark set 1; };
			chain p { type filter hook prerouting priority mangle; tcp dport 80 tproxy to :15001 meta mark set 1 accept; };`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := startPlaced(t, test.at, test.mode, rules.SourceOwn, config.Listener{})
			if err := r.host().NFT("table inet loop { " + test.rules + " }"); err != nil {
				t.Fatal(err)
			}
			ip := need(t, "ip")
			for _, family := range []string{"-4", "-6"} {
				for _, args := range [][]string{{family, "rule", "add", "fwmark", "1", "lookup", "100"}, {family, "route", "add", "local", "default", "dev", "lo", "table", "100"}} {
					if _, err := r.host().Run(exec.Command(ip, args...)); err != nil {
						t.Fatal(err)
					}
				}
			}
			const connections = 10
			for range connections {
				for _, version := range []int{4, 6} {
					to := r.server(version, 80)
					r.dialInVain(to)
					c := r.record()
					if v := c.Verdict; v.Cause != "proxy_refused" || v.Side != diagnose.SideProxy || !strings.Contains(v.Sentence, "a loop") ||
						c.Downstream.Remote.Addr() != r.clientAddr(to) || c.Destination != to {
						t.Errorf("%v to %v: got %s on side %s, want proxy_refused, a loop: %s", c.Downstream.Remote, c.Destination, v.Cause, v.Side, v.Sentence)
					}
				}
			}
			r.stop.Close()
			if line, err := r.records.ReadString('\n'); err == nil {
				t.Errorf("%d connections have more records than that: %s", 2*connections, line)
			}
		})
	}
}
