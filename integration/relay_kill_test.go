package integration

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"

	"whyreset/integration/lab"
)

func init() { relayParts["peer"] = playPeer }

// playPeer dials the address, or accepts from the listener it was given if the address is "-". It reads so many bytes,
// waits until so many more lie unread, says so, and waits to be killed.
func playPeer(arguments string) error {
	var to string
	var read, unread int64
	if _, err := fmt.Sscan(arguments, &to, &read, &unread); err != nil {
		return fmt.Errorf("a peer's part is an address and two numbers: %w", err)
	}
	conn, err := peerConn(to)
	if err != nil {
		return err
	}
	// The pattern is the one that the other end sends, whichever that is.
	expects := lab.Pattern(1)
	if to == "-" {
		expects = 2
	}
	ready := func(net.Conn) error { _, err := fmt.Println("ready"); return err }
	go func() { // the end of the test ends this process too
		os.Stdin.Read(make([]byte, 1))
		os.Exit(1)
	}()
	out := lab.Run(context.Background(), conn, lab.Script{Expects: expects, Steps: []lab.Step{
		lab.Read(read), lab.WaitUnread(int(unread)), lab.Call("ready", ready), lab.Stall()}})
	return fmt.Errorf("not killed: %v", out)
}

func peerConn(to string) (net.Conn, error) {
	if to != "-" {
		return net.Dial("tcp", to)
	}
	ln, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return nil, err
	}
	return ln.Accept()
}

// playKill plays an ending whose ender is a process that is killed.
func (e ending) playKill(ctx context.Context, t *testing.T, p *played, ln *net.TCPListener, to netip.AddrPort, size int64) {
	t.Helper()
	other := steps(lab.Write(size+e.kill.unread), lab.ReadAll())
	if p.by == "client" {
		p.clientIsChild = true
		peer := lab.Serve(ln, lab.Script{Sends: 1, Steps: other})
		defer peer.Stop()
		c := startChild(t, fmt.Sprintf("peer %v %d %d", to, size, e.kill.unread))
		c.wantReady()
		c.kill()
		var err error
		if p.server, err = peer.Next(ctx); err != nil {
			t.Fatal(err)
		}
		return
	}
	p.serverIsChild = true
	file, err := ln.File()
	if err != nil {
		t.Fatal(err)
	}
	c := startChild(t, fmt.Sprintf("peer - %d %d", size, e.kill.unread), file)
	file.Close()
	done := make(chan lab.Outcome, 1)
	go func() { done <- dialAndRun(ctx, to, lab.Script{Sends: 2, Steps: other}) }()
	c.wantReady()
	c.kill()
	p.client = <-done
}

func (c *child) wantReady() {
	c.t.Helper()
	if got := c.line(); got != "ready" {
		c.t.Fatalf("the child said %q", got)
	}
}
