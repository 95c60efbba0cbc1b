package relay_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"whyreset/proxy/relay"
)

func TestTry(t *testing.T) {
	srv, _ := net.Listen("tcp", "127.0.0.1:0")
	go func() {
		for {
			c, err := srv.Accept()
			if err != nil {
				return
			}
			go func() {
				b := make([]byte, 5)
				io.ReadFull(c, b)
				c.Write(b)
				switch string(b) {
				case "reset":
					c.(*net.TCPConn).SetLinger(0)
				case "big..":
					c.Write(make([]byte, 20<<20))
				}
				c.Close()
			}()
		}
	}()
	r, err := relay.New(relay.Options{Ended: func(es []relay.Ended) {
		for i := range es {
			ev := es[i].Evidence()
			fmt.Println(es[i].Number, es[i].Duration, es[i].Upstream)
			for _, o := range ev.Observations {
				fmt.Printf("   %v %v %T %+v\n", o.At, o.Leg, o.What, o.What)
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	tg := relay.NewTarget("x")
	tg.Set([]netip.AddrPort{srv.Addr().(*net.TCPAddr).AddrPort()})
	at, err := r.Listen(relay.Listener{Name: "a", Address: netip.MustParseAddrPort("127.0.0.1:0"), Target: tg})
	if err != nil {
		t.Fatal(err)
	}
	r.Start()
	for _, m := range []string{"hello", "reset", "big.."} {
		c, err := net.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte(m))
		n, err := io.Copy(io.Discard, c)
		fmt.Println(m, n, err)
		c.Close()
		time.Sleep(50 * time.Millisecond)
	}
	r.Close()
}
