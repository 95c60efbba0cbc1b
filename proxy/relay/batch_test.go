package relay

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"whyreset/diagnose/evidence"
	"whyreset/proxy/kernel"
)

// An event of a pair that ended earlier in the batch must not reach the pair that has its slot and its descriptors now.
func TestStaleEvent(t *testing.T) {
	s := step(t, Options{})
	first, firstServer, p := s.connect()
	fds := [2]int32{p.legs[down].fd, p.legs[up].fd}
	index, gen := p.index, p.gen

	// In this order in one batch: the first pair ends, the second takes its place, the first one's server speaks.
	reset(t, first)
	second := dial(t, s.address)
	write(t, firstServer, "stale")
	firstServer.CloseWrite()
	s.loop.round(1000)

	p = s.loop.pairs[index]
	if p.gen != gen+1 || p.legs[down].fd != fds[down] || p.legs[up].fd != fds[up] {
		t.Fatalf("got generation %d with descriptors %d and %d: the test has not made its case, which is %d, %d and %d",
			p.gen, p.legs[down].fd, p.legs[up].fd, gen+1, fds[down], fds[up])
	}
	if p.stage != connecting || p.legs[up].fin || p.legs[up].readable {
		t.Fatalf("the second pair was told an event of the first: stage %d, upstream %+v", p.stage, p.legs[up])
	}
	s.until("the second pair", func() bool { return p.stage == open })
	server := accept(t, s.server)
	write(t, second, "to the server")
	second.CloseWrite()
	write(t, server, "to the client")
	server.Close()
	s.until("its end", func() bool { return p.stage == free })
	wantRead(t, server, "")
	wantEnd(t, second, "to the client", nil)
}

// The kernel tells an error once. When a write to a leg is told, its reader sees a clean end of stream: what was sent
// before must still arrive, and a reset behind it.
func TestErrorConsumedByWriter(t *testing.T) {
	s := step(t, Options{})
	client, server, p := s.connect()
	write(t, server, "answer")
	s.until("the answer", func() bool { return p.legs[up].in == 6 })
	wantRead(t, client, "answer")

	// The server's data first, so that the relay writes to the client before it looks at the client's leg.
	write(t, server, "more")
	write(t, client, "last words")
	reset(t, client)
	s.until("the end", func() bool { return p.stage == free })
	wantEnd(t, server, "last words", syscall.ECONNRESET)

	e := &s.loop.ended[0]
	by := evidence.NoCall
	for _, o := range e.Evidence().Observations {
		if w, ok := o.What.(evidence.Socket); ok && w.Saw == evidence.Error {
			by = w.Call
		}
	}
	if by != evidence.Send {
		t.Errorf("the error was told to call %d: the test has not made its case, which is %d", by, evidence.Send)
	}
	if got, want := s.stories()[0], "d:connected u:connected u:data d:ECONNRESET !u:passed-reset"; got != want && got != strings.Replace(want, " d:ECONN", " d:data d:ECONN", 1) {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A turn is bounded, so that one fast stream does not blind the loop.
func TestTurnIsBounded(t *testing.T) {
	s := step(t, Options{})
	client, server, p := s.connect()
	go func() {
		b := make([]byte, 1<<20)
		for {
			if _, err := server.Write(b); err != nil {
				return
			}
		}
	}()
	go func() {
		b := make([]byte, 1<<20)
		for {
			if _, err := client.Read(b); err != nil {
				return
			}
		}
	}()
	var most uint64
	for range 500 {
		before := p.legs[up].in
		s.loop.round(1)
		most = max(most, p.legs[up].in-before)
	}
	if limit := uint64(turn + bigPipe); most > limit {
		t.Errorf("one round moved %d bytes, want at most %d", most, limit)
	}
	if most < turn {
		t.Errorf("one round moved %d bytes at most: the stream was too slow to try anything", most)
	}
}

// A flow that gets no pipe is copied.
func TestNoPipeToBeHad(t *testing.T) {
	const size = 8 << 20
	for _, test := range []struct {
		name  string
		pipes int
		want  []bool // whether the first flow and the second hold a pipe
	}{{"two", 2, []bool{true, true}}, {"one", 1, []bool{true, false}}} {
		t.Run(test.name, func(t *testing.T) {
			s := step(t, Options{Pipes: test.pipes})
			var pairs []*pair
			results := make(chan error, 2)
			begin := make(chan struct{})
			for i := range 2 {
				client, server, p := s.connect()
				pairs = append(pairs, p)
				go sendPattern(server, i, size)
				go func() { <-begin; results <- readPattern(client, i, size) }()
				s.until("a flow that is blocked", func() bool { return !p.legs[down].writable && p.flows[up].held() > 0 })
				if got := p.flows[up].leased; got != test.want[i] {
					t.Errorf("flow %d holds a pipe: %v, want %v", i, got, test.want[i])
				}
				if s.loop.pipes.lent > test.pipes {
					t.Errorf("%d pipes lent, want %d at most", s.loop.pipes.lent, test.pipes)
				}
			}
			close(begin)
			s.until("both ends", func() bool { return pairs[0].stage == free && pairs[1].stage == free })
			for range 2 {
				if err := <-results; err != nil {
					t.Error(err)
				}
			}
			if s.loop.pipes.lent != 0 {
				t.Errorf("%d pipes still lent", s.loop.pipes.lent)
			}
		})
	}
}

// When the kernel refuses a pipe it is not asked with every read, and is asked again.
func TestPipeRefused(t *testing.T) {
	full := fillDescriptors(t)
	s := pipes{limit: 4}
	if _, ok := s.lease(1); ok {
		t.Fatal("got a pipe without descriptors")
	}
	full.free()
	if _, ok := s.lease(2); ok {
		t.Error("asked the kernel again at once")
	}
	p, ok := s.lease(1 + tightFor)
	if !ok {
		t.Fatal("never asked the kernel again")
	}
	s.giveBack(p, 0)
	s.close()
}

// A client that resets behind its data, before the relay has looked at it once, has spoken to a server that is there.
func TestClientResetBeforeAccept(t *testing.T) {
	s := step(t, Options{})
	client := dial(t, s.address)
	write(t, client, "last words")
	reset(t, client)
	s.until("the end", func() bool { return len(s.loop.ended) == 1 })
	wantEnd(t, accept(t, s.server), "last words", syscall.ECONNRESET)
	if got, want := s.stories()[0], "d:connected u:connected d:data d:ECONNRESET !u:passed-reset"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A steady load allocates nothing.
func TestNoAllocations(t *testing.T) {
	s := step(t, Options{Timeouts: Timeouts{Connect: time.Minute, Idle: time.Minute}})
	ln, err := kernel.Listen(anyPort, true, kernel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.Close(ln)
	s.address = addListener(t, s.relay, kernel.LocalAddr(ln))
	var b [100]byte
	connect := func() (client, server int) {
		client, errno := kernel.Dial(s.address, kernel.Options{})
		if client < 0 || errno != 0 && errno != syscall.EINPROGRESS {
			t.Fatal(errno)
		}
		for {
			s.loop.round(1)
			if server, _, errno = kernel.Accept(ln); errno == 0 {
				return client, server
			}
		}
	}
	pass := func(from, to int) {
		if n, errno := kernel.Send(from, b[:]); n != len(b) {
			t.Fatal(n, errno)
		}
		for got := 0; got < len(b); {
			s.loop.round(1)
			n, errno := kernel.Recv(to, b[:])
			if errno != 0 && errno != syscall.EAGAIN {
				t.Fatal(errno)
			}
			got += n
		}
	}
	client, server := connect()
	defer kernel.Close(client)
	defer kernel.Close(server)
	message := func() { pass(client, server); pass(server, client) }
	connection := func() {
		client, server := connect()
		pass(client, server)
		pass(server, client)
		kernel.Close(client)
		kernel.Close(server)
		for s.relay.Active() > 1 {
			s.loop.round(1)
		}
		s.loop.ended = s.loop.ended[:0] // as the reporter does
	}
	for name, work := range map[string]func(){"message": message, "connection": connection} {
		for range 100 {
			work()
		}
		if got := testing.AllocsPerRun(1000, work); got != 0 {
			t.Errorf("%s: got %v allocations each, want 0", name, got)
		}
	}
}
