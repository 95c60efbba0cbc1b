package main

import (
	"fmt"
	"io"
	"net"
)

// A message has this many bytes, and its first one says what is asked for.
const (
	messageSize = 128
	echo        = 'e' // the message
	stream      = 's' // bytes for as long as somebody takes them
	swallow     = 'w' // to take bytes for as long as somebody sends them
	abort       = 'a' // a reset
)

// serve is the backend: it prints its address, the first if there are several, and answers until it is killed.
func serve(addresses []string) error {
	over := make(chan error, len(addresses))
	for i, address := range addresses {
		ln, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		if i == 0 {
			fmt.Println(ln.Addr())
		}
		go func() { over <- accept(ln) }()
	}
	return <-over
}

func accept(ln net.Listener) error {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go answer(conn.(*net.TCPConn))
	}
}

func answer(conn *net.TCPConn) {
	defer conn.Close()
	buf := make([]byte, messageSize)
	for {
		if _, err := io.ReadFull(conn, buf); err != nil {
			return
		}
		switch buf[0] {
		case stream:
			for chunk := make([]byte, chunkSize); ; {
				if _, err := conn.Write(chunk); err != nil {
					return
				}
			}
		case swallow:
			for chunk := make([]byte, chunkSize); ; {
				if _, err := conn.Read(chunk); err != nil {
					return
				}
			}
		case abort:
			conn.SetLinger(0)
			return
		}
		if _, err := conn.Write(buf); err != nil {
			return
		}
	}
}
