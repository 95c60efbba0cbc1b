package main

import (
	"io"
	"net"
	"syscall"
)

// relayPlainly is the relay that a Go programmer would write first: two goroutines for each connection, each with an
// io.Copy, which splices where it can. It passes on the end of each direction, and knows no reset. Each io.Copy holds a pipe
// for as long as it waits, so that a connection takes six files; their limit is raised to what is given.
func relayPlainly(address, backend string, files uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if uint64(limit.Max) < files {
		limit.Cur, limit.Max = files, files
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go relayOne(conn.(*net.TCPConn), backend)
	}
}

func relayOne(client *net.TCPConn, backend string) {
	defer client.Close()
	conn, err := net.Dial("tcp", backend)
	if err != nil {
		return
	}
	server := conn.(*net.TCPConn)
	defer server.Close()
	done := make(chan struct{})
	go func() {
		copyOneWay(server, client)
		close(done)
	}()
	copyOneWay(client, server)
	<-done
}

// copyOneWay ends both ways on an error, or a client that is gone would be waited for as long as its server says nothing.
func copyOneWay(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		from.Close()
		return
	}
	to.CloseWrite()
}
