package integration

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/integration/lab"
	"whyreset/proxy/relay"
)

// repeats is how often each ending is played direct, and as often through the relay.
var repeats = flag.Int("repeats", 3, "how often TestEndings plays each ending; 20 takes minutes")

// ending is a way for a connection to end, played by the ender and the other. Which of them is the client and which the
// server is the test's to choose. What the other has to see is arranged before the ender goes on, so that the outcome
// depends on the ending and not on the scheduler.
type ending struct {
	name string
	// script returns what both do around size bytes.
	script func(size int64) (ender, other []lab.Step)
	// kill is set in place of script when the ender is a process that is killed: it writes nothing, reads size bytes, and
	// waits for so many more that it leaves unread.
	kill *killed
	// lossy: the ending itself destroys bytes, so how many arrive is chance. What the relay received must arrive.
	lossy bool
	// by says who can be the ender; empty: each of them.
	by string
}

type killed struct{ unread int64 }

// plenty is more than all buffers on the way can hold.
const plenty = 64 << 20

var endings = []ending{
	{name: "fin", script: func(n int64) (ender, other []lab.Step) {
		return steps(lab.Write(n), lab.Close()), steps(lab.ReadAll())
	}},
	{name: "half-close", script: func(n int64) (ender, other []lab.Step) {
		return steps(lab.Write(n), lab.CloseWrite(), lab.ReadAll()), steps(lab.ReadAll(), lab.Write(n))
	}},
	{name: "fin both ways", by: "client", script: func(n int64) (ender, other []lab.Step) {
		both := steps(lab.Together(steps(lab.Write(n), lab.CloseWrite()), steps(lab.ReadAll())))
		return both, both
	}},
	{name: "reset after reading", script: func(n int64) (ender, other []lab.Step) {
		return steps(lab.Read(n), lab.Reset()), steps(lab.Write(n), lab.ReadAll())
	}},
	{name: "reset after its data was read", script: func(n int64) (ender, other []lab.Step) {
		read := make(chan struct{})
		return steps(lab.Write(n), lab.Wait(read), lab.Reset()), steps(lab.Read(n), signal(read), lab.ReadAll())
	}},
	{name: "reset after its data was acknowledged", script: func(n int64) (ender, other []lab.Step) {
		there := make(chan struct{}) // else connect may be told the reset
		return steps(lab.Wait(there), lab.Write(n), untilUnacked(0), lab.Reset()), steps(signal(there), lab.ReadAll())
	}},
	{name: "reset behind data", lossy: true, script: func(n int64) (ender, other []lab.Step) {
		there := make(chan struct{})
		return steps(lab.Wait(there), lab.Write(n), lab.Reset()), steps(signal(there), lab.ReadAll())
	}},
	{name: "reset by a writer under back-pressure", lossy: true, script: func(n int64) (ender, other []lab.Step) {
		gone := make(chan struct{})
		return steps(lab.Together(steps(lab.Write(n+plenty)), steps(untilUnacked(-1), lab.Reset())), signal(gone)),
			steps(lab.Wait(gone), lab.ReadAll())
	}},
	{name: "reset by a reader under back-pressure", lossy: true, script: func(n int64) (ender, other []lab.Step) {
		full := make(chan struct{})
		return steps(lab.Wait(full), lab.Reset()),
			steps(lab.Together(steps(lab.Write(n+plenty)), steps(untilUnacked(-1), signal(full))), lab.ReadAll())
	}},
	{name: "fin, then reset", script: func(n int64) (ender, other []lab.Step) {
		read := make(chan struct{})
		return steps(lab.Write(n), lab.CloseWrite(), lab.Wait(read), lab.Reset()), steps(lab.ReadAll(), signal(read), untilCut())
	}},
	{name: "fin, then reset before it was read", script: func(n int64) (ender, other []lab.Step) {
		there := make(chan struct{})
		return steps(lab.Wait(there), lab.Write(n), lab.CloseWrite(), untilUnacked(0), lab.Reset()),
			steps(signal(there), lab.ReadAll(), untilCut())
	}},
	{name: "close, and the other writes on", script: func(n int64) (ender, other []lab.Step) {
		return steps(lab.Write(n), lab.Close()), steps(lab.ReadAll(), untilCut())
	}},
	{name: "reset at once", script: func(n int64) (ender, other []lab.Step) {
		return steps(lab.Reset()), steps(lab.ReadAll(), untilCut())
	}},
	{name: "close with bytes unread", script: func(n int64) (ender, other []lab.Step) {
		return steps(lab.Read(n), lab.WaitUnread(1), lab.Close()), steps(lab.Write(n+1), lab.ReadAll())
	}},
	{name: "close with bytes unread, its own data read", script: func(n int64) (ender, other []lab.Step) {
		read := make(chan struct{})
		return steps(lab.WaitUnread(1), lab.Write(n), lab.Wait(read), lab.Close()), steps(lab.Write(1), lab.Read(n), signal(read), lab.ReadAll())
	}},
	{name: "close with bytes unread, its own data on the way", lossy: true, script: func(n int64) (ender, other []lab.Step) {
		return steps(lab.WaitUnread(1), lab.Write(n), lab.Close()), steps(lab.Write(1), lab.ReadAll())
	}},
	{name: "killed", kill: &killed{}},
	{name: "killed with bytes unread", kill: &killed{unread: 1}},
}

func steps(all ...lab.Step) []lab.Step { return all }

func TestEndings(t *testing.T) {
	total := 0
	for _, e := range endings {
		for _, by := range []string{"client", "server"} {
			if e.by != "" && e.by != by {
				continue
			}
			total++
			t.Run(e.name+"/by the "+by, func(t *testing.T) {
				for _, size := range []int64{0, 1, 10_000, 5_000_000} {
					t.Run(fmt.Sprint(size), func(t *testing.T) { comparePlays(t, e, by, size) })
				}
			})
		}
	}
	if total < 20 {
		t.Errorf("%d endings, want 20 at least", total)
	}
}

// comparePlays plays an ending direct and then through the relay. Each outcome through it must be one that was seen direct.
func comparePlays(t *testing.T, e ending, by string, size int64) {
	t.Parallel()
	direct := map[string]int{}
	for range *repeats {
		p := e.play(t, by, size, false)
		direct[p.outcome(e)]++
		p.check(t, e)
	}
	for range *repeats {
		p := e.play(t, by, size, true)
		if got := p.outcome(e); direct[got] == 0 {
			t.Errorf("through the relay: %s\ndirect: %v", got, direct)
		}
		p.check(t, e)
	}
}

// played is one play of an ending.
type played struct {
	by            string
	client        lab.Outcome
	server        lab.Outcome
	clientIsChild bool
	serverIsChild bool
	ev            *evidence.Evidence // nil when direct
}

// outcome is what can be compared: the bytes at each end, how the stream ended for one who read to the end, whether a
// writer was cut (EPIPE and ECONNRESET are one).
func (p *played) outcome(e ending) string {
	var parts []string
	for _, end := range []struct {
		name  string
		child bool
		lab.Outcome
	}{{"client", p.clientIsChild, p.client}, {"server", p.serverIsChild, p.server}} {
		if end.child {
			continue
		}
		text := fmt.Sprintf("%s: to %v", end.name, end.End)
		if !e.lossy {
			text += fmt.Sprintf(", %d bytes read, %d written", end.Read, end.Written)
		}
		if end.WriteCut() {
			text += ", writing cut"
		} else if end.WriteErr != nil && !errors.Is(end.WriteErr, net.ErrClosed) {
			text += ", " + end.WriteErr.Error()
		}
		if end.Trouble != nil {
			text += ", " + end.Trouble.Error()
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

// check holds for every play: what arrived is a correct prefix of what was sent, and all that the relay had received of
// it when a reset came.
func (p *played) check(t *testing.T, e ending) {
	t.Helper()
	for _, way := range []struct {
		name         string
		sent, got    lab.Outcome
		leg          evidence.Leg
		readerIsGone bool // the child tells nothing
	}{
		{"to the server", p.client, p.server, evidence.Downstream, p.serverIsChild},
		{"to the client", p.server, p.client, evidence.Upstream, p.clientIsChild},
	} {
		if way.got.Damage != nil {
			t.Errorf("%s: %v", way.name, way.got.Damage)
		}
		if way.readerIsGone || p.ev == nil || way.got.End != lab.EndEOF && way.got.End != lab.EndReset {
			continue
		}
		c := carriedFrom(p.ev, way.leg)
		if c.reset && way.got.Read != c.received {
			t.Errorf("%s: %d bytes arrived, %d had reached the relay", way.name, way.got.Read, c.received)
		}
		if way.got.Read > c.in {
			t.Errorf("%s: %d bytes arrived, %d were passed on", way.name, way.got.Read, c.in)
		}
	}
}

// slots bounds how many plays there are at a time.
var slots = make(chan struct{}, 12)

func (e ending) play(t *testing.T, by string, size int64, through bool) *played {
	t.Helper()
	slots <- struct{}{}
	defer func() { <-slots }()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	ln := listenTCP(t)
	to := addressOf(ln.Addr())
	var r *runningRelay
	if through {
		r = startRelay(t, relay.Options{Loops: 1}, to)
		defer r.Close()
		to = r.address
	}
	p := &played{by: by}
	if e.kill != nil {
		e.playKill(ctx, t, p, ln, to, size)
	} else {
		ender, other := e.script(size)
		atClient, atServer := ender, other
		if by == "server" {
			atClient, atServer = other, ender
		}
		peer := lab.Serve(ln, lab.Script{Sends: 1, Expects: 2, Limit: time.Minute, Steps: atServer})
		defer peer.Stop()
		p.client = dialAndRun(ctx, to, lab.Script{Sends: 2, Expects: 1, Limit: time.Minute, Steps: atClient})
		var err error
		if p.server, err = peer.Next(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if through {
		if !p.client.Local.IsValid() { // a child's, or one whose connect was told the reset
			p.ev = r.only(t)
		} else {
			p.ev = r.of(t, p.client.Local)
		}
	}
	return p
}

// dialAndRun plays a script on a new connection. A reset that comes so early that connect tells it is an ending like others.
func dialAndRun(ctx context.Context, to netip.AddrPort, script lab.Script) lab.Outcome {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", to.String())
	if err != nil {
		out := lab.Outcome{ReadErr: err, Trouble: err}
		if errors.Is(err, syscall.ECONNRESET) {
			out = lab.Outcome{End: lab.EndReset, ReadErr: err}
		}
		return out
	}
	return lab.Run(ctx, conn, script)
}

// The one difference that a proxy makes: it has accepted before it knows, so a refusal becomes a reset at once.
func TestRefusedThroughRelay(t *testing.T) {
	t.Parallel()
	ln := listenTCP(t)
	nobody := addressOf(ln.Addr())
	ln.Close()
	if conn, err := net.Dial("tcp", nobody.String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("direct: got %v, %v", conn, err)
	}
	r := startRelay(t, relay.Options{}, nobody)
	for range *repeats {
		out := dialAndRun(context.Background(), r.address, lab.Script{Steps: []lab.Step{lab.ReadAll(), untilCut()}})
		if out.End != lab.EndReset || out.Read != 0 || out.Trouble != nil {
			t.Errorf("got %v, want a reset", out)
		}
	}
}
