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

// serve is the backend: it prints its address and answers until it is killed.
func serve(address string) error {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
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
