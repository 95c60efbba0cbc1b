package lab_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"whyreset/integration/lab"
)

func TestPattern(t *testing.T) {
	t.Parallel()
	const size = 20_000
	whole := make([]byte, size)
	lab.Pattern(5).Fill(whole, 0)

	for _, offset := range []int{0, 1, 7, 8, 9, 4095, 4096, 12_345} {
		for _, n := range []int{0, 1, 7, 8, 100, 5000} {
			part := make([]byte, n)
			lab.Pattern(5).Fill(part, int64(offset))
			if !bytes.Equal(part, whole[offset:offset+n]) {
				t.Fatalf("%d bytes from %d on differ from the same bytes of the whole", n, offset)
			}
		}
	}
	if at := lab.Pattern(5).Check(whole[77:], 77); at != -1 {
		t.Errorf("Check of the right bytes: got %d, want -1", at)
	}
	if at := lab.Pattern(6).Check(whole, 0); at < 0 || at > 8 {
		t.Errorf("Check with another seed: got %d, want an early difference", at)
	}
	for _, at := range []int{0, 1, 4095, 4096, size - 1} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			flipped := bytes.Clone(whole)
			flipped[at] ^= 0x10
			if got := lab.Pattern(5).Check(flipped, 0); got != at {
				t.Errorf("flipped byte %d: got %d", at, got)
			}
			// A byte may equal the next by chance, which then shows one later; the last one lost is for the count to show.
			missing := append(bytes.Clone(whole[:at]), whole[at+1:]...)
			got := lab.Pattern(5).Check(missing, 0)
			if at == size-1 && got != -1 || at < size-1 && (got < at || got > at+8) {
				t.Errorf("missing byte %d: got %d", at, got)
			}
			doubled := append(bytes.Clone(whole[:at+1]), whole[at:]...)
			if got := lab.Pattern(5).Check(doubled, 0); got <= at || got > at+9 {
				t.Errorf("doubled byte %d: got %d", at, got)
			}
		})
	}
}

// pair plays two scripts on the two ends of a connection over loopback.
func pair(t *testing.T, server, client lab.Script) (atServer, atClient lab.Outcome) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	peer := lab.Serve(ln, server)
	defer peer.Stop()
	conn, err := net.Dial("tcp", peer.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ctx := withTimeout(t)
	atClient = lab.Run(ctx, conn, client)
	atServer, err = peer.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if atServer.Remote != atClient.Local || atServer.Local != atClient.Remote || !atServer.Remote.IsValid() {
		t.Errorf("addresses: server %v to %v, client %v to %v", atServer.Local, atServer.Remote, atClient.Local, atClient.Remote)
	}
	return atServer, atClient
}

func TestEndings(t *testing.T) {
	t.Parallel()
	steps := func(s ...lab.Step) []lab.Step { return s }
	// A reset that comes before the dialler has looked is a connection that failed, ECONNRESET.
	dialled := make(chan struct{})
	tell := lab.Call("tell", func(net.Conn) error { close(dialled); return nil })
	const large = 3 << 20
	for _, test := range []struct {
		name           string
		server, client []lab.Step
		atServer       string // Outcome.String, as far as it is certain
		atClient       string
	}{
		{"closed at once", nil, steps(lab.ReadAll()),
			"read 0 to open, wrote 0", "read 0 to eof, wrote 0"},
		{"reset at once", steps(lab.Wait(dialled), lab.Reset()), steps(tell, lab.ReadAll()),
			"read 0 to open, wrote 0", "read 0 to reset, wrote 0; read: "},
		{"request and answer", steps(lab.Read(10), lab.Write(20)), steps(lab.Write(10), lab.ReadAll()),
			"read 10 to open, wrote 20", "read 20 to eof, wrote 10"},
		{"lines", steps(lab.ReadBytes([]byte("HELO\n")), lab.WriteBytes([]byte("250\n")), lab.Write(3)),
			steps(lab.WriteBytes([]byte("HELO\n")), lab.ReadBytes([]byte("250\n")), lab.ReadAll()),
			"read 5 to open, wrote 7", "read 7 to eof, wrote 5"},
		{"another line", steps(lab.ReadBytes([]byte("HELO\n"))), steps(lab.WriteBytes([]byte("HERO\n")), lab.ReadAll()),
			"read 5 to open, wrote 0; damage: received byte 2 is 0x52", "read 0 to eof, wrote 5"},
		{"abort after some of the request", steps(lab.Read(10), lab.Reset()), steps(lab.Write(10), lab.ReadAll()),
			"read 10 to open, wrote 0", "read 0 to reset, wrote 10; read: "},
		{"closed with bytes unread", steps(lab.Read(5), lab.WaitUnread(7), lab.Close()), steps(lab.Write(12), lab.ReadAll()),
			"read 5 to open, wrote 0", "read 0 to reset, wrote 12; read: "},
		{"fewer than asked for", steps(lab.Read(10)), steps(lab.Write(4), lab.CloseWrite(), lab.ReadAll()),
			"read 4 to eof, wrote 0", "read 0 to eof, wrote 4"},
		{"half-close", steps(lab.ReadAll(), lab.Write(large)), steps(lab.Write(10), lab.CloseWrite(), lab.Write(5), lab.ReadAll()),
			"read 10 to eof, wrote 3145728", "read 3145728 to eof, wrote 10"},
		{"both ways at once",
			steps(lab.Together(steps(lab.Write(large), lab.CloseWrite()), steps(lab.ReadAll()))),
			steps(lab.Together(steps(lab.Write(large), lab.CloseWrite()), steps(lab.ReadAll()))),
			"read 3145728 to eof, wrote 3145728", "read 3145728 to eof, wrote 3145728"},
		{"data, then a reset once it was read", steps(lab.Write(large), lab.Read(1), lab.Reset()),
			steps(lab.Read(large), lab.Write(1), lab.ReadAll()),
			"read 1 to open, wrote 3145728", "read 3145728 to reset, wrote 1; read: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			atServer, atClient := pair(t, lab.Script{Sends: 1, Expects: 2, Steps: test.server},
				lab.Script{Sends: 2, Expects: 1, Steps: test.client})
			if got := atServer.String(); !strings.HasPrefix(got, test.atServer) || strings.Contains(got[len(test.atServer):], ";") {
				t.Errorf("server: got %q, want %q", got, test.atServer)
			}
			if got := atClient.String(); !strings.HasPrefix(got, test.atClient) || strings.Contains(got[len(test.atClient):], ";") {
				t.Errorf("client: got %q, want %q", got, test.atClient)
			}
		})
	}
}

// A writer that is cut still reads what came before.
func TestWriteCut(t *testing.T) {
	t.Parallel()
	_, out := pair(t, lab.Script{Steps: []lab.Step{lab.Write(100), lab.WaitUnread(1), lab.Reset()}},
		lab.Script{Steps: []lab.Step{lab.Read(100), lab.Write(64 << 20), lab.ReadAll()}})
	if !out.WriteCut() || out.Read != 100 || out.Damage != nil {
		t.Errorf("got %v, want 100 bytes read and the writing cut", out)
	}
}

// What the peers are for: a proxy that changes a byte, loses one or doubles one is found out.
func TestDamageIsSeen(t *testing.T) {
	t.Parallel()
	const size, at = 100_000, 70_001
	sent := make([]byte, size)
	lab.Pattern(9).Fill(sent, 0)
	for name, wrong := range map[string][]byte{
		"flipped": append(append(bytes.Clone(sent[:at]), ^sent[at]), sent[at+1:]...),
		"missing": append(bytes.Clone(sent[:at]), sent[at+1:]...),
		"doubled": append(bytes.Clone(sent[:at+1]), sent[at:]...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, out := pair(t, lab.Script{Steps: []lab.Step{lab.WriteBytes(wrong)}},
				lab.Script{Expects: 9, Steps: []lab.Step{lab.ReadAll()}})
			if out.Damage == nil || !strings.Contains(out.Damage.Error(), "byte 7000") {
				t.Errorf("got %v, want damage at %d or just behind", out, at)
			}
			if out.Read != int64(len(wrong)) || out.End != lab.EndEOF {
				t.Errorf("got %v, want it read to the end all the same", out)
			}
		})
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	const limit = 50 * time.Millisecond
	// The server goes first, by a long time, or waits until the client is gone.
	_, out := pair(t, lab.Script{Steps: []lab.Step{lab.ReadAll()}},
		lab.Script{Limit: limit, Steps: []lab.Step{lab.ReadAll()}})
	if out.End != lab.EndStalled || !errors.Is(out.ReadErr, os.ErrDeadlineExceeded) {
		t.Errorf("reading: got %v, want it stalled", out)
	}
	never := make(chan struct{})
	_, out = pair(t, lab.Script{Steps: []lab.Step{lab.ReadAll()}},
		lab.Script{Limit: limit, Steps: []lab.Step{lab.Wait(never)}})
	if !errors.Is(out.Trouble, context.DeadlineExceeded) {
		t.Errorf("waiting: got %v, want a deadline exceeded", out)
	}
	_, out = pair(t, lab.Script{Steps: []lab.Step{lab.ReadAll()}},
		lab.Script{Limit: limit, Steps: []lab.Step{lab.Sleep(time.Hour), lab.WaitUnread(1), lab.Stall()}})
	if !errors.Is(out.Trouble, context.DeadlineExceeded) {
		t.Errorf("waiting for bytes: got %v, want a deadline exceeded", out)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	playing := make(chan struct{}, 2)
	peer := lab.Serve(ln, lab.Script{Limit: time.Hour, Steps: []lab.Step{
		lab.Call("tell", func(net.Conn) error { playing <- struct{}{}; return errors.New("told") }), lab.Stall(), lab.ReadAll()}})
	for range 2 {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		<-playing
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := peer.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next with a context that has ended: got %v", err)
	}
	peer.Stop()
	for range 2 {
		out, err := peer.Next(withTimeout(t))
		if err != nil || out.End != lab.EndStalled || out.Trouble == nil || out.Trouble.Error() != "tell: told" {
			t.Errorf("got %v, %v, want it stalled", out, err)
		}
	}
	if _, err := peer.Next(withTimeout(t)); !errors.Is(err, lab.ErrStopped) {
		t.Errorf("Next at the end: got %v, want ErrStopped", err)
	}
	peer.Stop()
}

func TestStepsHaveNames(t *testing.T) {
	t.Parallel()
	got := fmt.Sprint([]lab.Step{lab.Read(3), lab.Together([]lab.Step{lab.Write(2), lab.CloseWrite()}, []lab.Step{lab.ReadAll()}), lab.Reset()})
	want := "[read 3 together [[write 2 close write] [read all]] reset]"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
