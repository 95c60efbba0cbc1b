package watch

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
)

// An ICMP error is given to the connection whose packet it quotes, with the box that sent it.
func TestICMPError(t *testing.T) {
	n := newLab(t, lab.Netns, lab.NFT)
	if err := n.Router.NFT("table inet lab { chain f { type filter hook forward priority 0; tcp dport 84 reject with icmpx type admin-prohibited; }; }"); err != nil {
		t.Fatal(err)
	}
	var w *Packets
	if err := n.Client.Do(func() (err error) { w, err = OpenPackets(Options{}); return err }); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, c := range []struct {
		from, to, box netip.Addr
		typ, code     uint8
	}{
		{n.Client.Addr4(), n.Server.Addr4(), n.Router.Addr4(), 3, 13},
		{n.Client.Addr6(), n.Server.Addr6(), n.Router.Addr6(), 1, 1},
	} {
		leg := Leg{Own: netip.AddrPortFrom(c.from, 40000), Far: netip.AddrPortFrom(c.to, 84)}
		w.Upstream(leg.Far)
		dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(leg.Own), Timeout: 500 * time.Millisecond}
		dialer.SetMultipathTCP(false)
		began := time.Now()
		err := n.Client.Do(func() error {
			conn, err := dialer.DialContext(context.Background(), "tcp", leg.Far.String())
			if err == nil {
				conn.Close()
			}
			return err
		})
		if err == nil {
			t.Fatalf("%v answered", leg.Far)
		}
		seen, coverage := w.Of(&Connection{Accepted: began, Ended: time.Now(), Up: leg})
		var syn *evidence.Packet
		var errors []evidence.ICMP
		for _, o := range seen {
			switch w := o.What.(type) {
			case evidence.Packet:
				if syn == nil {
					syn = &w
				}
			case evidence.ICMP:
				errors = append(errors, w)
				if o.Leg != evidence.Upstream || o.At <= 0 {
					t.Errorf("got %+v, want it of the upstream leg", o)
				}
			}
		}
		if syn == nil || len(errors) == 0 || coverage != evidence.Watched {
			t.Fatalf("%v: got coverage %q and %+v, want a SYN and an error", leg.Far, coverage, seen)
		}
		want := evidence.ICMP{Type: c.typ, Code: c.code, IPv6: c.to.Is6(), From: c.box, OnWire: true, About: evidence.NoLeg, Seq: syn.Seq, TTL: 64}
		if errors[0] != want {
			t.Errorf("got  %+v\nwant %+v", errors[0], want)
		}
	}
}
