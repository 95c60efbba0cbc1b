package integration

import (
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"

	"whyreset/integration/lab"
)

// readmeExample is a configuration in the README that places the proxy.
var readmeExample = regexp.MustCompile(`(?m)^    rules: \{placement: (\w+).*\n(    .*\n)+`)

// What the README says of each placement works as it stands there.
func TestRulesOfTheReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	hosts := map[string]func(*lab.Net) *lab.Host{"router": onRouter, "server": onServer, "client": onClient, "pod": onServer}
	for _, example := range readmeExample.FindAllStringSubmatch(string(text), -1) {
		placement := example[1]
		host := hosts[placement]
		if host == nil {
			t.Fatalf("placement %s stands there twice, or there is no such", placement)
		}
		delete(hosts, placement)
		t.Run(placement, func(t *testing.T) {
			t.Parallel()
			r := newRuled(t, host, strings.ReplaceAll("\n"+example[0], "\n    ", "\n"))
			r.answer(r.Server, 5432)
			before := r.stands()
			r.must("rules", "show")
			k := r.run()
			k.carried(r.Client, netip.AddrPortFrom(r.Server.Addr4(), 5432))
			k.carried(r.Client, netip.AddrPortFrom(r.Server.Addr6(), 5432))
			k.cmd.Process.Signal(os.Interrupt)
			if code := k.wait(); code != 0 {
				t.Errorf("got exit code %d, want 0: %s", code, k.said())
			}
			r.wantStands("after Ctrl-C", before)
		})
	}
	for placement := range hosts {
		t.Errorf("the README has no example of placement %s", placement)
	}
}
