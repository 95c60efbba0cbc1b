package main

import (
	"bufio"
	"bytes"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Interrupted while a pipe says nothing, it tells what it had found, and where it was.
func TestExplainInterrupted(t *testing.T) {
	frames, err := readCaptureScript("0 c S 100 0 0 64\n1 s RA 0 101 0 57\n" + // over when the next begins
		"2 c S 900 0 0 64\n3 s RA 0 901 0 57\n")
	if err != nil {
		t.Fatal(err)
	}
	capture := pcapHead()
	for i := range frames {
		capture = frames[i].appendPcap(capture)
	}
	cmd := exec.Command("whyreset", "explain", "-", "--format", "json")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hung := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer hung.Stop()
	if _, err := in.Write(capture); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if first, err := lines.ReadString('\n'); err != nil {
		t.Fatalf("got %q, %v; want the first connection as soon as it is over", first, err)
	}
	cmd.Process.Signal(syscall.SIGINT)
	rest, err := io.ReadAll(lines)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // its error is the exit code
	if got := cmd.ProcessState.ExitCode(); got != exitFailure {
		t.Errorf("got exit code %d, want %d", got, exitFailure)
	}
	if !strings.Contains(string(rest), `"port":51234`) || strings.Count(string(rest), "\n") != 1 {
		t.Errorf("got %q after the interruption, want the second connection", rest)
	}
	for _, want := range []string{"standard input was read up to ", "interrupted: "} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("got %q, want %q in it", said.String(), want)
		}
	}
}

// Whoever reads the output may stop: it ends by SIGPIPE, or says nothing where that is not delivered.
func TestExplainBrokenPipe(t *testing.T) {
	path := writeGenerated(t, generated{connections: 3000, atOnce: 10, segment: 1})
	for _, format := range []string{"json", "console"} {
		cmd := exec.Command("whyreset", "explain", path, "--limit", "0", "--format", format)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		out.Close()
		if err := cmd.Wait(); err == nil || said.Len() > 0 {
			t.Errorf("%s: got %v and %q, want a failure and not a word", format, err, said.String())
		}
	}
}
