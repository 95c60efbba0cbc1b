package intercept

import (
	"net"
	"net/netip"
	"testing"
)

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func TestPolicy(t *testing.T) {
	lists := &Policy{Allow: prefixes("10.0.0.0/8", "2001:db8::/32"), Deny: prefixes("10.1.0.0/16", "2001:db8:1::/48")}
	asked := &Policy{Own: true, LinkLocal: true}
	for _, test := range []struct {
		name   string
		policy *Policy
		to     string
		want   Refusal
	}{
		{"anything", &Policy{}, "192.0.2.1", Fine},
		{"anything by IPv6", &Policy{}, "2001:db8::1", Fine},
		{"allowed", lists, "10.2.3.4", Fine},
		{"allowed by IPv6", lists, "2001:db8:2::1", Fine},
		{"not allowed", lists, "192.0.2.1", NotAllowed},
		{"not allowed by IPv6", lists, "2001:db9::1", NotAllowed},
		{"allowed and denied", lists, "10.1.2.3", Denied},
		{"allowed and denied by IPv6", lists, "2001:db8:1::1", Denied},
		{"loopback", &Policy{}, "127.9.9.9", OwnAddress},
		{"loopback by IPv6", &Policy{}, "::1", OwnAddress},
		{"loopback, asked for", asked, "127.9.9.9", Fine},
		{"link-local", &Policy{}, "169.254.1.1", LinkLocal},
		{"link-local by IPv6", &Policy{}, "fe80::1", LinkLocal},
		{"link-local by IPv6 with its zone", &Policy{}, "fe80::1%2", LinkLocal},
		{"link-local, asked for", asked, "fe80::1%2", Fine},
		{"link-local, allowed by a wide list", &Policy{Allow: prefixes("0.0.0.0/0")}, "169.254.1.1", LinkLocal},
		{"metadata", &Policy{}, "169.254.169.254", LinkLocal},
		{"metadata of AWS by IPv6", &Policy{}, "fd00:ec2::254", LinkLocal},
		{"metadata of Google by IPv6", &Policy{}, "fd20:ce::254", LinkLocal},
		{"metadata of Alibaba", &Policy{}, "100.100.100.200", LinkLocal},
		{"metadata, asked for", asked, "169.254.169.254", Fine},
		{"metadata, asked for and denied", &Policy{LinkLocal: true, Deny: prefixes("169.254.169.254/32")}, "169.254.169.254", Denied},
		{"multicast", asked, "224.0.0.1", NoUnicast},
		{"multicast by IPv6", asked, "ff02::1", NoUnicast},
		{"broadcast", asked, "255.255.255.255", NoUnicast},
		{"nothing", asked, "0.0.0.0", NoUnicast},
	} {
		t.Run(test.name, func(t *testing.T) {
			way := &Way{Mode: TProxy, Listen: netip.MustParseAddrPort("[::]:15001"), Policy: test.policy}
			local := netip.AddrPortFrom(netip.MustParseAddr(test.to), 80)
			if to, why := way.Aim(-1, local); why != test.want || to != local {
				t.Errorf("got %v, %q, want %v, %q", to, why, local, test.want)
			}
		})
	}
}

func TestPolicyKnowsThisHost(t *testing.T) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	p := &Policy{LinkLocal: true}
	if err := p.Refresh(); err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		own := netip.MustParsePrefix(a.String()).Addr()
		if got := p.refuses(own); got != OwnAddress {
			t.Errorf("%v: got %q, want %q", own, got, OwnAddress)
		}
	}
	if got := p.refuses(netip.MustParseAddr("192.0.2.7")); got != Fine {
		t.Errorf("an address of nobody: got %q", got)
	}
}

// The way from accept to dial is walked for each connection on a loop that must not wait for the collector.
func TestPolicyDoesNotAllocate(t *testing.T) {
	p := &Policy{Allow: prefixes("10.0.0.0/8", "2001:db8::/32"), Deny: prefixes("10.1.0.0/16")}
	if err := p.Refresh(); err != nil {
		t.Fatal(err)
	}
	way := &Way{Mode: TProxy, Listen: netip.MustParseAddrPort("[::]:15001"), Policy: p}
	to := netip.MustParseAddrPort("[2001:db8::1]:80")
	if n := testing.AllocsPerRun(100, func() { way.Aim(-1, to) }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func TestEveryRefusalHasItsWords(t *testing.T) {
	seen := map[string]Refusal{}
	for r := NotRedirected; r <= NotAllowed; r++ {
		text := r.String()
		if other, twice := seen[text]; text == "" || twice {
			t.Errorf("refusal %d: got %q, the words of %d", uint8(r), text, uint8(other))
		}
		seen[text] = r
	}
}
