package replay

import (
	"testing"

	"whyreset/diagnose/header"
)

func TestUnwrap(t *testing.T) {
	const (
		macs = `020000000001 020000000002 `
	)
	gre := func(rest string) string { return `45000000 00000000 402f0000 0a000001 0a000002 ` + rest }
	for name, c := range map[string]struct {
		link  LinkType
		frame string
	}{
		"Ethernet":                 {linkEthernet, macs + `0800 ` + ipv4RST},
		"Ethernet with padding":    {linkEthernet, macs + `0800 ` + ipv4RST + `000000000000`},
		"Ethernet, IPv6":           {linkEthernet, macs + `86dd ` + ipv6RST},
		"VLAN":                     {linkEthernet, macs + `8100 0064 0800 ` + ipv4RST},
		"QinQ":                     {linkEthernet, macs + `88a8 0064 8100 0065 0800 ` + ipv4RST},
		"PPPoE":                    {linkEthernet, macs + `8864 1100 0001 002a 0021 ` + ipv4RST},
		"PPPoE by itself":          {linkPPPoE, `1100 0001 003e 0057 ` + ipv6RST},
		"LLC with SNAP":            {linkEthernet, macs + `0030 aaaa03 000000 0800 ` + ipv4RST + `0000`},
		"LLC of IP":                {linkEthernet, macs + `002b 060603 ` + ipv4RST},
		"FDDI":                     {linkFDDI, `50 ` + macs + `aaaa03 000000 0800 ` + ipv4RST},
		"MPLS, two labels":         {linkEthernet, macs + `8847 00010040 00011140 ` + ipv4RST},
		"MPLS pseudowire":          {linkEthernet, macs + `8847 00011140 00000000 ` + macs + `0800 ` + ipv4RST},
		"Linux cooked":             {linkLinuxCooked, `0000 0001 0006 020000000001 0000 0800 ` + ipv4RST},
		"Linux cooked, VLAN":       {linkLinuxCooked, `0000 0001 0006 020000000001 0000 8100 0064 0800 ` + ipv4RST},
		"Linux cooked v2":          {linkCooked2, `0800 0000 00000001 0001 00 06 020000000001 0000 ` + ipv4RST},
		"raw IPv4":                 {linkRaw, ipv4RST},
		"raw IPv6":                 {linkIPv6, ipv6RST},
		"BSD loopback":             {linkNull, `02000000 ` + ipv4RST},
		"BSD loopback, big-endian": {linkNull, `0000001e ` + ipv6RST},
		"OpenBSD loopback":         {linkLoop, `00000018 ` + ipv6RST},
		"PPP":                      {linkPPP, `0021 ` + ipv4RST},
		"PPP in HDLC":              {linkPPPHDLC, `ff03 0057 ` + ipv6RST},
		"PPP, compressed":          {linkPPP, `21 ` + ipv4RST},
		"PPP with MPLS":            {linkPPP, `0281 00011140 ` + ipv4RST},
		"Cisco HDLC":               {linkCiscoHDLC, `0f00 0800 ` + ipv4RST},
		"IP in IP":                 {linkRaw, `45000000 00000000 40040000 0a000001 0a000002 ` + ipv4RST},
		"IPv6 in IPv4":             {linkRaw, `45000000 00000000 40290000 0a000001 0a000002 ` + ipv6RST},
		"IPv4 in IPv6":             {linkRaw, `60000000 00280440 20010db8000000000000000000000003 20010db8000000000000000000000004 ` + ipv4RST},
		"GRE":                      {linkRaw, gre(`0000 0800 `) + ipv4RST},
		"GRE with everything":      {linkRaw, gre(`b000 0800 00000000 00000001 00000002 `) + ipv4RST},
		"GRE with Ethernet":        {linkRaw, gre(`0000 6558 `) + macs + `0800 ` + ipv4RST},
		"PPTP":                     {linkRaw, gre(`3081 880b 002e0001 00000001 00000001 ff03 0021 `) + ipv4RST},
		"ERSPAN I":                 {linkRaw, gre(`0000 88be `) + macs + `0800 ` + ipv4RST},
		"ERSPAN II":                {linkRaw, gre(`1000 88be 00000001 10000000 00000000 `) + macs + `0800 ` + ipv4RST},
		"ERSPAN II with a VLAN":    {linkRaw, gre(`1000 88be 00000001 10000000 00000000 `) + macs + `8100 0064 0800 ` + ipv4RST},
		"ERSPAN III":               {linkRaw, gre(`1000 22eb 00000001 20000000 00000000 00000000 `) + macs + `0800 ` + ipv4RST},
		"GRE within a VLAN":        {linkEthernet, macs + `8100 0064 0800 ` + gre(`0000 0800 `) + ipv4RST},
	} {
		t.Run(name, func(t *testing.T) {
			b := unhex(c.frame)
			ip, state, found := unwrap(c.link, b, len(b))
			if !found || state != header.Whole || ip.Protocol != header.ProtocolTCP {
				t.Fatalf("got protocol %d, %v, found %v; want TCP", ip.Protocol, state, found)
			}
			tcp, state := header.ParseTCP(ip.Payload, ip.PayloadLength)
			if state != header.Whole || tcp.SrcPort != 40000 || tcp.DstPort != 443 || tcp.Flags != header.RST || tcp.PayloadLength != 0 {
				t.Errorf("got %+v, %v; want the RST of port 40000 to 443", tcp, state)
			}
			for n := range b {
				unwrap(c.link, b[:n], len(b)) // cut anywhere: no panic
			}
		})
	}

	for name, c := range map[string]struct {
		link  LinkType
		frame string
	}{
		"ARP":                    {linkEthernet, macs + `0806 0001`},
		"a link type not known":  {9999, ipv4RST},
		"PPPoE discovery":        {linkPPPoE, `1109 0000 0000`},
		"spanning tree":          {linkEthernet, macs + `0026 424203 0000`},
		"a loopback of AF_UNIX":  {linkNull, `01000000 ` + ipv4RST},
		"nothing behind a label": {linkEthernet, macs + `8847 00011140`},
	} {
		t.Run("no IP in "+name, func(t *testing.T) {
			b := unhex(c.frame)
			if ip, state, found := unwrap(c.link, b, len(b)); found {
				t.Errorf("got %+v, %v", ip, state)
			}
		})
	}

	t.Run("a tunnel of something else is a packet itself", func(t *testing.T) {
		b := unhex(gre(`0000 0806 `) + `0001`)
		if ip, _, found := unwrap(linkRaw, b, len(b)); !found || ip.Protocol != header.ProtocolGRE {
			t.Errorf("got protocol %d, found %v; want GRE", ip.Protocol, found)
		}
	})
}

func FuzzUnwrap(f *testing.F) {
	f.Add(uint16(linkEthernet), unhex(`020000000001 020000000002 8100 0064 0800 `+ipv4RST), 58)
	f.Add(uint16(linkRaw), unhex(`45000000 00000000 402f0000 0a000001 0a000002 1000 88be 00000001 10000000 00000000 `), 40)
	f.Add(uint16(linkPPP), unhex(`ff03 0281 00011140 `+ipv6RST), 68)
	f.Fuzz(func(t *testing.T, link uint16, b []byte, wire int) {
		ip, state, found := unwrap(LinkType(link), b, max(wire, len(b)))
		if found && state == header.Whole && len(ip.Payload) > len(b) {
			t.Error("more payload than there are bytes")
		}
	})
}
