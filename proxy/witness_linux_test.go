package proxy

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"whyreset/config"
	"whyreset/diagnose/evidence"
)

// An upstream on this machine aborts; the record says by which process, where the kernel lets us hear of it, and else why not.
func TestWitnessIsAsked(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		if c, err := ln.Accept(); err == nil {
			io.ReadFull(c, make([]byte, 4))
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}()
	s, log := start(t, func(c *config.Config) { c.Listeners[0].Upstream = ln.Addr().String() })
	c, err := net.Dial("tcp", s.Addresses()["test"].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(c, "ping")
	io.ReadAll(c)
	ended := next(t, log.ended)
	coverage := ended.Evidence.Coverage.Witness
	if !s.sources.Witness.Active() {
		if coverage == "" || coverage == evidence.Watched {
			t.Errorf("got coverage %q, want the reason why not", coverage)
		}
		return
	}
	if coverage != evidence.Watched {
		t.Errorf("got coverage %q, want %q", coverage, evidence.Watched)
	}
	name := filepath.Base(os.Args[0])
	want := evidence.Kernel{Sent: true, From: evidence.Upstream, Reason: evidence.ReasonState, State: 7, Process: name[:min(len(name), 15)], PID: uint32(os.Getpid())}
	var got []evidence.Observation
	for _, o := range ended.Evidence.Observations {
		if o.What == want && o.Leg == evidence.Upstream && o.At > 0 && o.At <= ended.Duration {
			return
		}
		if evidence.SourceOf(o.What) == evidence.Witness {
			got = append(got, o)
		}
	}
	t.Errorf("got from the kernel %+v, want among it %+v within %v", got, want, ended.Duration)
}

// What the configuration says is done.
func TestWitnessSwitch(t *testing.T) {
	if w, err := openWitness(config.SwitchOff); err != nil || w.Active() {
		t.Errorf("got %v and error %v, want none", w, err)
	}
	w, err := openWitness(config.SwitchAuto)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	on, err := openWitness(config.SwitchOn)
	switch {
	case w.Active() && err == nil:
		on.Close()
	case w.Active():
		t.Errorf("got error %v, want a witness as with auto", err)
	case err == nil || !strings.Contains(err.Error(), "evidence.witness is on"):
		t.Errorf("got error %v, want one that names evidence.witness", err)
	}
}
