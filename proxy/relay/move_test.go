package relay

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"whyreset/integration/lab"
	"whyreset/proxy/kernel"
)

// The urgent byte arrives where it was sent, marked.
func TestUrgentByte(t *testing.T) {
	t.Parallel()
	const bulk = 3 << 20
	for _, test := range []struct {
		name          string
		before, after int64
	}{{"alone", 0, 0}, {"between words", 10, 10}, {"at the end of a buffer", copyBuffer, 1}, {"amid bulk", bulk, bulk}, {"behind bulk", bulk, 0}} {
		for _, pipes := range []int{1, 256} {
			t.Run(fmt.Sprintf("%s/%d pipes", test.name, pipes), func(t *testing.T) {
				t.Parallel()
				ln := listen(t)
				l := start(t, Options{Loops: 1, Pipes: pipes}, address(ln))
				if pipes == 1 { // which another one holds
					hog := dial(t, l.address)
					fill(t, accept(t, ln))
					defer hog.Close()
				}
				client := dial(t, l.address)
				server := accept(t, ln)
				inline(t, server)
				sent := make(chan lab.Outcome, 1)
				go func() {
					sent <- lab.Run(context.Background(), client, lab.Script{Sends: 1, Steps: []lab.Step{
						lab.Write(test.before), lab.Call("urgent", sendUrgent), lab.Write(test.after), lab.CloseWrite(), lab.ReadAll()}})
				}()
				got, mark := readToMark(t, server)
				server.Close()
				if out := <-sent; out.Trouble != nil || out.WriteErr != nil {
					t.Fatalf("client: got %v", out)
				}
				if mark != test.before || int64(len(got)) != test.before+1+test.after || got[mark] != 'U' {
					t.Fatalf("got the mark at %d of %d bytes, want it at %d of %d", mark, len(got), test.before, test.before+1+test.after)
				}
				if at := lab.Pattern(1).Check(slices.Delete(got, int(mark), int(mark)+1), 0); at >= 0 {
					t.Errorf("byte %d is damaged", at)
				}
			})
		}
	}
}

// inline leaves the urgent byte in its place in the stream, so that the mark can be looked for there.
func inline(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		if err := syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_OOBINLINE, 1); err != nil {
			t.Fatal(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

func sendUrgent(conn net.Conn) error {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	var errno kernel.Errno
	if err := raw.Write(func(fd uintptr) bool {
		_, errno = kernel.SendUrgent(int(fd), []byte("U"))
		return errno != syscall.EAGAIN
	}); err != nil || errno == 0 {
		return err
	}
	return errno
}

// readToMark reads to the end of the stream and returns all of it, and how much of it came before the urgent byte.
func readToMark(t *testing.T, conn *net.TCPConn) (got []byte, mark int64) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	mark = -1
	buf := make([]byte, 64<<10)
	for over := false; !over; {
		err := raw.Read(func(fd uintptr) bool {
			atMark := kernel.AtUrgentMark(int(fd))
			n, errno := kernel.Recv(int(fd), buf)
			if errno == syscall.EAGAIN {
				return false
			}
			if atMark && n > 0 && mark < 0 {
				mark = int64(len(got))
			}
			got = append(got, buf[:n]...)
			over = n == 0 || errno != 0
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return got, mark
}

// A ping-pong beside a fast stream still has its turns.
func TestPingBesideBulk(t *testing.T) {
	const pings = 300
	l := start(t, Options{Loops: 1}, echo(t))
	client := dial(t, l.address)
	measure := func() (times []time.Duration) {
		for range pings {
			begin := time.Now()
			write(t, client, "ping")
			wantRead(t, client, "ping")
			times = append(times, time.Since(begin))
		}
		slices.Sort(times)
		return times
	}
	alone := measure()

	bulk := dial(t, l.address)
	stop, done := make(chan struct{}), make(chan struct{})
	var moved int64
	go func() { moved, _ = io.Copy(io.Discard, bulk); close(done) }()
	go func() {
		defer bulk.CloseWrite()
		for b := make([]byte, 1<<20); ; {
			select {
			case <-stop:
				return
			default:
				bulk.Write(b)
			}
		}
	}()
	begin := time.Now()
	beside := measure()
	took := time.Since(begin)
	close(stop)
	<-done
	t.Logf("ping alone: median %v, p99 %v; beside a stream of %.1f Gbit/s: median %v, p99 %v",
		alone[pings/2], alone[pings*99/100], float64(moved)*8/float64(took), beside[pings/2], beside[pings*99/100])
	// A machine that has other things to do can delay anything; a loop that is blind until the stream ends delays all.
	if median := beside[pings/2]; median > 100*time.Millisecond {
		t.Errorf("median beside the stream: %v", median)
	}
}

// A loop that only ever makes raw calls must still let the collector stop it.
func TestCollectorBesideLoops(t *testing.T) {
	l := start(t, Options{}, echo(t))
	stop := make(chan struct{})
	for range len(l.loops) {
		client := dial(t, l.address)
		go func() { // never silent for so long that a loop would wait through the scheduler
			b := make([]byte, 1)
			for {
				select {
				case <-stop:
					return
				case <-time.After(500 * time.Microsecond):
					client.Write(b)
					client.Read(b)
				}
			}
		}()
	}
	defer close(stop)
	const collections, limit = 20, 20 * time.Second // without a preemption point not even 50 end in 30 s
	begin := time.Now()
	for range collections {
		runtime.GC()
	}
	took := time.Since(begin)
	t.Logf("%v for each collection", took/collections)
	if took > limit {
		t.Errorf("%d collections took %v", collections, took)
	}
}
