package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
)

// takeLogs is a syslog server: it prints its address, and writes what it receives to a file, a line each.
func takeLogs(file string) error {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	// As much as we may have: what finds the queue full is lost, and its sender does not notice.
	if err := conn.SetReadBuffer(8 << 20); err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	fmt.Println(conn.LocalAddr())
	w := bufio.NewWriterSize(out, 64<<10)
	for buf := make([]byte, 64<<10); ; {
		n, err := conn.Read(buf)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(buf[:n], '\n')); err != nil {
			return err
		}
	}
}
