package lab_test

import (
	"context"
	"net"
	"testing"
	"time"

	"whyreset/integration/lab"
)

func TestBacklog(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := lab.Backlog(ln, 0); err != nil {
		t.Fatal(err)
	}
	first, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if err := lab.WaitQueued(withTimeout(t), ln, 1); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.DialTimeout("tcp", ln.Addr().String(), 200*time.Millisecond); err == nil {
		conn.Close()
		t.Error("a full queue took another connection")
	}
	soon, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := lab.WaitQueued(soon, ln, 2); err == nil {
		t.Error("there was one connection, and two were found")
	}
}

// A reset behind a FIN is seen by nobody who only reads.
func TestWaitGone(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	peer := lab.Serve(ln, lab.Script{Steps: []lab.Step{lab.WaitUnread(1), lab.CloseWrite(), lab.Wait(ended), lab.Close()}})
	defer peer.Stop()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	tell := lab.Call("tell", func(net.Conn) error { close(ended); return nil })
	out := lab.Run(withTimeout(t), conn, lab.Script{Steps: []lab.Step{lab.Write(1), lab.ReadAll(), tell, lab.WaitGone(), lab.Write(1)}})
	if out.End != lab.EndEOF || out.Trouble != nil || !out.WriteCut() {
		t.Errorf("got %v, want the end of the stream and then a write that fails", out)
	}
}

func TestWriteUntilCut(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	peer := lab.Serve(ln, lab.Script{})
	defer peer.Stop()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	out := lab.Run(withTimeout(t), conn, lab.Script{Steps: []lab.Step{lab.ReadAll(), lab.WriteUntilCut()}})
	if out.End != lab.EndEOF || !out.WriteCut() || out.Written == 0 {
		t.Errorf("got %v, want some bytes written and then a reset", out)
	}
}
