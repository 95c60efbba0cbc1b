package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// roleVar set makes this program a child of itself: the backend, or the load generator with work, address and length.
const roleVar = "WHYRESET_BENCH_ROLE"

// playRole does not return in such a child.
func playRole() {
	role := os.Getenv(roleVar)
	if role == "" {
		return
	}
	var err error
	if role == "backend" {
		err = serve()
	} else {
		var index int
		var address string
		var length time.Duration
		if _, err = fmt.Sscan(role, &index, &address, (*int64)(&length)); err == nil {
			err = generate(works[index], address, length)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A message has this many bytes, and its first one says what is asked for.
const (
	messageSize = 128
	echo        = 'e' // the message
	stream      = 's' // bytes for as long as somebody takes them
)

// serve is the backend: it prints its address and answers until it is killed.
func serve() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go answer(conn)
	}
}

func answer(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, messageSize)
	for {
		if _, err := io.ReadFull(conn, buf); err != nil {
			return
		}
		if buf[0] == stream {
			break
		}
		if _, err := conn.Write(buf); err != nil {
			return
		}
	}
	for chunk := make([]byte, 256<<10); ; {
		if _, err := conn.Write(chunk); err != nil {
			return
		}
	}
}
