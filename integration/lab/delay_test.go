package lab_test

import (
	"net/netip"
	"testing"
	"time"

	"whyreset/integration/lab"
)

func TestDelay(t *testing.T) {
	t.Parallel()
	newNet(t) // or skip
	const delay = 20 * time.Millisecond
	n, err := lab.New(lab.Options{Delay: delay})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("closing the lab: %v", err)
		}
	})
	for family, addr := range families(n.Server) {
		t.Run(family, func(t *testing.T) {
			ln, err := n.Server.Listen("tcp", netip.AddrPortFrom(addr, 80).String())
			if err != nil {
				t.Fatal(err)
			}
			const size = 1_000_000
			peer := lab.Serve(ln, lab.Script{Expects: 3, Steps: []lab.Step{lab.Read(size), lab.Write(1), lab.ReadAll()}})
			defer peer.Stop()
			ctx := withTimeout(t)
			start := time.Now()
			conn, err := n.Client.Dial(ctx, "tcp", netip.AddrPortFrom(addr, 80))
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took < 2*delay {
				t.Errorf("connecting took %v, want %v at least", took, 2*delay)
			}
			out := lab.Run(ctx, conn, lab.Script{Sends: 3, Steps: []lab.Step{lab.Write(size), lab.Read(1), lab.Close()}})
			if took := time.Since(start); out.Read != 1 || took < 4*delay {
				t.Errorf("client: got %v after %v, want a byte after %v or more", out, took, 4*delay)
			}
			if out, err := peer.Next(ctx); err != nil || out.Read != size || out.Damage != nil {
				t.Errorf("server: got %v, %v, want %d bytes", out, err, size)
			}
		})
	}
}
