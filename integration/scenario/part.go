package scenario

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"

	"whyreset/integration/lab"
)

// Program returns a command that runs this very program so that it plays a part: it has to call [Part].
type Program func(part string) *exec.Cmd

// Part plays the part, on standard input and output, and returns the exit code. It ends when its input does, so it never
// outlives the process that started it.
func Part(part string, start StartProxy) int {
	var err error
	switch name, argument, _ := strings.Cut(part, " "); name {
	case "proxy":
		err = serveProxy(start, os.Stdin, os.Stdout)
	case "server":
		go exitWith(os.Stdin)
		err = serveUntilKilled(argument)
	default:
		err = fmt.Errorf("there is no part %q", part)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func exitWith(in io.Reader) {
	io.Copy(io.Discard, in)
	os.Exit(0)
}

// serveUntilKilled takes one connection from the listener it was given as its fourth file. It reads so many bytes, waits
// until so many more lie unread, says so, and does nothing more.
func serveUntilKilled(argument string) error {
	var read int64
	var unread int
	if _, err := fmt.Sscan(argument, &read, &unread); err != nil {
		return fmt.Errorf("a server's part is two numbers: %w", err)
	}
	ln, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	conn, err := ln.Accept()
	if err != nil {
		return err
	}
	ready := func(net.Conn) error {
		_, err := fmt.Println("ready")
		return err
	}
	out := lab.Run(context.Background(), conn, lab.Script{Steps: []lab.Step{
		lab.Read(read), lab.WaitUnread(unread), lab.Call("ready", ready), lab.Stall()}})
	return fmt.Errorf("not killed: %v", out)
}
