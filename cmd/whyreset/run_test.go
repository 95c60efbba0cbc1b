package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// running is a whyreset in a process of its own, as a user runs it.
type running struct {
	t       *testing.T
	cmd     *exec.Cmd
	address string // of the first listener
	lines   chan string
	ended   chan error
}

// line is what these tests look at in a record.
type line struct {
	Level   string `json:"log.level"`
	Message string
	Event   struct{ Action, Code string }
	Error   struct{ Message string }

	Whyreset struct {
		Verdict  struct{ Side, Cause, Confidence, Phase string }
		Coverage struct{ Packets, Witness string }
	}
}

// startRun starts "whyreset run" and waits until it listens. Records come on standard output.
func startRun(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{t: t, lines: make(chan string, 256), ended: make(chan error, 1)}
	r.cmd = exec.Command("whyreset", append([]string{"run"}, args...)...) // testscript.Main has put it in PATH
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	r.cmd.Stderr = &said
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			r.lines <- s.Text()
		}
		close(r.lines)
		r.ended <- r.cmd.Wait()
	}()
	t.Cleanup(func() { r.cmd.Process.Kill() })
	started := r.next("started")
	m := regexp.MustCompile(` on (\S+) to `).FindStringSubmatch(started.Message)
	if m == nil {
		t.Fatalf("got %q, want the address; standard error: %s", started.Message, said.String())
	}
	r.address = m[1]
	return r
}

// next is the next record of that action, as told by event.action.
func (r *running) next(action string) line {
	r.t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case text, ok := <-r.lines:
			if !ok {
				r.t.Fatalf("the program ended before a record %s", action)
			}
			var l line
			if err := json.Unmarshal([]byte(text), &l); err != nil {
				r.t.Fatalf("%v in %s", err, text)
			}
			if l.Event.Action == action {
				return l
			}
		case <-limit:
			r.t.Fatalf("no record %s came", action)
		}
	}
}

func (r *running) signal(s os.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// wait waits for the end, which must be one in order.
func (r *running) wait() {
	r.t.Helper()
	go func() {
		for range r.lines {
		}
	}()
	select {
	case err := <-r.ended:
		if err != nil {
			r.t.Errorf("got %v, want exit code 0", err)
		}
	case <-time.After(20 * time.Second):
		r.t.Fatal("it does not end")
	}
}

func (r *running) dial() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	r.t.Cleanup(func() { c.Close() })
	return c
}

// echo is a server that gives back what it gets, or resets at the word "reset".
func echo(t *testing.T) string {
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
			go serveEcho(c)
		}
	}()
	return ln.Addr().String()
}

func serveEcho(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if string(buf[:n]) == "reset" {
			c.(*net.TCPConn).SetLinger(0)
			return
		}
		c.Write(buf[:n])
	}
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("got %q and %v, want %q back", got, err, text)
	}
}

func TestRunExplainsAReset(t *testing.T) {
	r := startRun(t, "--forward", "127.0.0.1:0="+echo(t))
	c := r.dial()
	say(t, c, "hello")
	io.WriteString(c, "reset")
	if _, err := io.ReadAll(c); err == nil {
		t.Error("got an end in order, want the reset passed on")
	}
	got := r.next("connection_reset")
	if v := got.Whyreset.Verdict; v.Side != "upstream" || v.Cause != "app_abort" || got.Event.Code != v.Cause || got.Level != "warn" {
		t.Errorf("got %+v, want a warning: app_abort on the upstream's side", got)
	}
	r.signal(os.Interrupt)
	r.next("stopped")
	r.wait()
}

func TestRunWithoutUpstream(t *testing.T) {
	t.Run("nobody listens", func(t *testing.T) {
		r := startRun(t, "--forward", "127.0.0.1:0=127.0.0.1:1")
		if c, err := net.Dial("tcp", r.address); err == nil {
			defer c.Close()
		}
		if v := r.next("connection_refused").Whyreset.Verdict; v.Cause != "port_closed" || v.Side != "upstream" {
			t.Errorf("got %+v, want port_closed", v)
		}
	})
	t.Run("the name has no address", func(t *testing.T) {
		// RFC 6761 §6.4: "invalid" never resolves.
		r := startRun(t, "--forward", "127.0.0.1:0=db.invalid:5432")
		// It may be reset before connect(2) has returned, which then fails.
		if c, err := net.Dial("tcp", r.address); err == nil {
			defer c.Close()
		}
		if v := r.next("connection_refused").Whyreset.Verdict; v.Cause != "proxy_resolve_failed" || v.Side != "proxy" {
			t.Errorf("got %+v, want proxy_resolve_failed", v)
		}
	})
}

func TestRunStops(t *testing.T) {
	args := func(grace string) []string {
		return []string{"--forward", "127.0.0.1:0=" + echo(t), "--timeouts.stop_grace", grace}
	}
	t.Run("a connection that ends in time is not cut", func(t *testing.T) {
		r := startRun(t, args("15s")...)
		c := r.dial()
		say(t, c, "hello")
		r.signal(syscall.SIGTERM)
		r.next("stopping")
		say(t, c, "still here")
		c.Close()
		if v := r.next("connection_closed").Whyreset.Verdict; v.Cause != "clean_close" {
			t.Errorf("got %+v, want clean_close", v)
		}
		r.wait()
	})
	t.Run("one that does not is reset as our own doing", func(t *testing.T) {
		r := startRun(t, args("200ms")...)
		c := r.dial()
		say(t, c, "hello")
		r.signal(syscall.SIGTERM)
		if _, err := io.ReadAll(c); err == nil {
			t.Error("got an end in order, want a reset")
		}
		if v := r.next("connection_reset").Whyreset.Verdict; v.Cause != "proxy_shutdown" || v.Side != "proxy" || v.Confidence != "conclusive" {
			t.Errorf("got %+v, want proxy_shutdown", v)
		}
		r.wait()
	})
	t.Run("a second signal ends it at once", func(t *testing.T) {
		r := startRun(t, args("0s")...)
		say(t, r.dial(), "hello")
		r.signal(syscall.SIGTERM)
		r.next("stopping")
		r.signal(syscall.SIGINT)
		if v := r.next("connection_reset").Whyreset.Verdict; v.Cause != "proxy_shutdown" {
			t.Errorf("got %+v, want proxy_shutdown", v)
		}
		r.wait()
	})
}

func TestRunReloads(t *testing.T) {
	dir := t.TempDir()
	file, log := filepath.Join(dir, "whyreset.yaml"), filepath.Join(dir, "records.json")
	upstream := echo(t)
	write := func(timeouts string) {
		t.Helper()
		text := fmt.Sprintf("listeners: [{name: db, address: \"127.0.0.1:0\", upstream: %q}]\nlog: {output: %q}\ntimeouts: {%s}\n", upstream, log, timeouts)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("idle: 0s")
	cmd := exec.Command("whyreset", "run", "--config", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	told := func(path, want string) string {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			text, _ := os.ReadFile(path)
			if strings.Contains(string(text), want) {
				return string(text)
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s does not hold %q:\n%s", filepath.Base(path), want, text)
			}
		}
	}
	m := regexp.MustCompile(`db on (\S+) to`).FindStringSubmatch(told(log, `"started"`))
	c, err := net.Dial("tcp", m[1])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	say(t, c, "before")

	// Rotation: the file is moved away, and a signal opens a new one.
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	write("idle: 1h, keepalive: 5s")
	cmd.Process.Signal(syscall.SIGHUP)
	text := told(log, `"reloaded"`)
	for _, want := range []string{"timeouts.idle: 0s → 1h", "timeouts.keepalive: 0s → 5s (needs a restart)"} {
		if !strings.Contains(text, want) {
			t.Errorf("the record does not say %q:\n%s", want, text)
		}
	}
	say(t, c, "after")

	write("idle: 5")
	cmd.Process.Signal(syscall.SIGHUP)
	if text := told(log, `"reload_failed"`); !strings.Contains(text, "timeouts.idle: 5 ") {
		t.Errorf("the record does not name the mistake:\n%s", text)
	}
	say(t, c, "still after")
	cmd.Process.Signal(syscall.SIGTERM)
	c.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("got %v, want exit code 0", err)
	}
}

// A log that takes nothing costs no byte and no connection, and the traffic does not notice it.
func TestRunWithAStuckLog(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "log")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(fifo, os.O_RDWR, 0) // holds it open, and never reads
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	well, code := manyConnections(t, filepath.Join(t.TempDir(), "log"))
	if code != 0 {
		t.Errorf("with a log that works: got exit code %d, want 0", code)
	}
	stuck, code := manyConnections(t, fifo)
	if code != 1 {
		t.Errorf("with a stuck log: got exit code %d, want 1: records could not be written", code)
	}
	t.Logf("500 connections one after the other: %v with a log that works, %v with a stuck one", well, stuck)
	if stuck > 5*well+2*time.Second {
		t.Error("a stuck log slows the traffic")
	}
}

// manyConnections sends words through 500 connections of a proxy that logs to the file, stops it, and
// returns how long the connections took and the program's exit code.
func manyConnections(t *testing.T, log string) (took time.Duration, code int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close()
	cmd := exec.Command("whyreset", "run", "--forward", address+"="+echo(t), "--log.output", log, "--log.format", "json")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	var c net.Conn
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err = net.Dial("tcp", address); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	start := time.Now()
	for range 500 { // each leaves a record of about 2 kB; a pipe holds 64 kB
		c.SetDeadline(time.Now().Add(20 * time.Second))
		say(t, c, "through the proxy")
		c.Close()
		if c, err = net.Dial("tcp", address); err != nil {
			t.Fatal(err)
		}
	}
	took = time.Since(start)
	c.Close()
	cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for the log for ever")
	}
	return took, cmd.ProcessState.ExitCode()
}
