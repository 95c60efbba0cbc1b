package watch

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
)

// A NAT on the way gives the far end other addresses than we know: who made the reset is found all the same.
func TestWitnessBeyondNAT(t *testing.T) {
	w := witness(t, "raw tracepoints")
	if w == nil {
		return
	}
	n := newLab(t, lab.NFT)
	if err := n.Client.Do(func() (err error) { w.own, err = networkNamespace(); return err }); err != nil {
		t.Fatal(err)
	}
	ln, err := n.Server.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	port := addrPort(ln.Addr()).Port()
	const service, closed, nobody = 7000, 7001, 9
	if err := n.Router.NFT(fmt.Sprintf(`
		table ip nat {
			chain pre {
				type nat hook prerouting priority dstnat
				ip daddr %[1]v tcp dport %[3]d dnat to %[2]v:%[4]d
				ip daddr %[1]v tcp dport %[5]d dnat to %[2]v:%[6]d
			}
			chain post {
				type nat hook postrouting priority srcnat
				ct original ip daddr %[2]v masquerade
			}
		}`, n.Router.Addr4(), n.Server.Addr4(), service, port, closed, nobody)); err != nil {
		t.Fatal(err)
	}
	for _, way := range []struct {
		name         string
		open, closed netip.AddrPort
	}{
		{"service address", netip.AddrPortFrom(n.Router.Addr4(), service), netip.AddrPortFrom(n.Router.Addr4(), closed)},
		{"masquerade", netip.AddrPortFrom(n.Server.Addr4(), port), netip.AddrPortFrom(n.Server.Addr4(), nobody)},
	} {
		for _, c := range cuts {
			t.Run(way.name+" "+c.name, func(t *testing.T) {
				ours, peer, began := meet(t, n, way.open, ln)
				if addrPort(peer.RemoteAddr()) == addrPort(ours.LocalAddr()) && addrPort(peer.LocalAddr()) == addrPort(ours.RemoteAddr()) {
					t.Fatalf("got the ends %v and %v on both sides, want one of them rewritten", ours.LocalAddr(), ours.RemoteAddr())
				}
				checkCut(t, w, c, began, ours, peer, true)
			})
		}
		t.Run(way.name+" port closed", func(t *testing.T) {
			began := time.Now()
			var own netip.AddrPort
			if err := n.Client.Do(func() (err error) { own, err = connectRefused(n.Client.Addr4(), way.closed); return err }); err != nil {
				t.Fatal(err)
			}
			seen, _ := w.Of(&Connection{Accepted: began, Ended: time.Now(), Up: Leg{Own: own, Far: way.closed}})
			checkSeen(t, seen, evidence.Upstream,
				evidence.Kernel{Sent: true, From: evidence.Upstream, Reason: evidence.ReasonNoSocket, Foreign: true},
				evidence.Kernel{From: evidence.Upstream, State: tcpSynSent})
		})
	}
}
