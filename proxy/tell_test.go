package proxy

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"

	"whyreset/config"
	"whyreset/proxy/relay"
	"whyreset/proxy/telemetry"
)

// BenchmarkTell is what a connection costs once it has ended: its evidence, its verdict and its record.
func BenchmarkTell(b *testing.B) {
	for _, bm := range []struct {
		name string
		end  func(*net.TCPConn)
	}{
		{"closed", func(c *net.TCPConn) { c.CloseWrite(); io.Copy(io.Discard, c) }},
		{"reset", func(c *net.TCPConn) { c.SetLinger(0); c.Close() }},
	} {
		b.Run(bm.name, func(b *testing.B) {
			story := storyOf(b, bm.end)
			log, err := telemetry.Open(telemetry.Options{Output: os.DevNull, SampleClean: 1})
			if err != nil {
				b.Fatal(err)
			}
			cfg := config.Defaults()
			cfg.Evidence.Packets, cfg.Evidence.Witness = config.SwitchOff, config.SwitchOff
			s, err := New(cfg, log)
			if err != nil {
				b.Fatal(err)
			}
			defer s.relay.Close()
			s.relay.Start()
			b.ReportAllocs()
			for b.Loop() {
				s.tell(story)
			}
			b.StopTimer()
			if err := log.Close(context.Background()); err != nil {
				b.Log(err)
			}
		})
	}
}

// storyOf is what the relay tells of a connection that was answered and then ended so.
func storyOf(t testing.TB, end func(*net.TCPConn)) []relay.Ended {
	t.Helper()
	ended := make(chan []relay.Ended, 1)
	r, err := relay.New(relay.Options{Ended: func(all []relay.Ended) { ended <- slices.Clone(all) }})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	upstream := netip.MustParseAddrPort(echo(t))
	to := relay.NewTarget(upstream.String())
	to.Set([]netip.AddrPort{upstream})
	at, err := r.Listen(relay.Listener{Name: "test", Address: netip.MustParseAddrPort("127.0.0.1:0"), Target: to})
	if err != nil {
		t.Fatal(err)
	}
	r.Start()
	conn, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(make([]byte, 128)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 128)); err != nil {
		t.Fatal(err)
	}
	end(conn.(*net.TCPConn))
	return <-ended
}

// echo is an upstream that sends back what it is sent.
func echo(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	return ln.Addr().String()
}
