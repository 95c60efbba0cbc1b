package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"
)

// work is what is done through each contestant, by so many workers at a time.
type work struct {
	name, unit string
	workers    int     // 0: as many as there are to be idle connections
	size       float64 // how many of what turn counts make one unit
	latency    bool    // a turn is something that somebody waits for
	turn       func(*worker) (int, error)
}

var works = []work{
	{"connections", "connection", 16, 1, true, (*worker).connect},
	{"requests-1", "request", 1, 1, true, (*worker).request},
	{"requests-64", "request", 64, 1, true, (*worker).request},
	{"requests-512", "request", 512, 1, true, (*worker).request},
	{"down-1", "GB", 1, 1e9, false, (*worker).receive},
	{"down-4", "GB", 4, 1e9, false, (*worker).receive},
	{"down-64", "GB", 64, 1e9, false, (*worker).receive},
	{"up-1", "GB", 1, 1e9, false, (*worker).send},
	{"up-4", "GB", 4, 1e9, false, (*worker).send},
	{"up-64", "GB", 64, 1e9, false, (*worker).send},
	{"idle", "connection", 0, 1, false, (*worker).rest},
	{"resets", "connection", 16, 1, true, (*worker).reset},
}

// idle is the work whose memory is of interest, and that has no rate.
func (w *work) idle() bool { return w.workers == 0 }

// can says that the contestant takes part in a work.
func (c *contestant) can(index int) bool { return !c.cramped || !works[index].idle() }

func workNames() (names []string) {
	for _, w := range works {
		names = append(names, w.name)
	}
	return names
}

// chosen are the indices of the works named, all of them if none is.
func chosen(names []string) (indices []int, err error) {
	for i, w := range works {
		if len(names) == 0 || slices.Contains(names, w.name) {
			indices = append(indices, i)
		}
	}
	for _, name := range names {
		if !slices.Contains(workNames(), name) {
			return nil, fmt.Errorf("no work is called %s; there are %s", name, strings.Join(workNames(), ", "))
		}
	}
	return indices, nil
}

// worker takes one turn after the other, on the connection it has unless the turn is to make one.
type worker struct {
	address string
	conn    net.Conn
	end     time.Time // of its work
	turns   int       // taken
	buf     []byte    // for bulk, made on first use
	count   int
	took    []time.Duration
	err     error
}

func (w *worker) work(job work, end time.Time) {
	w.end = end
	for now := time.Now(); w.err == nil && (now.Before(end) || w.turns == 0); w.turns++ {
		start, n := now, 0
		n, w.err = job.turn(w)
		now = time.Now()
		w.count += n
		w.took = append(w.took, now.Sub(start))
	}
}

// connect makes a connection for one request. Its turn is over when both sides have ended it in good order.
func (w *worker) connect() (int, error) {
	conn, err := w.begin()
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.CloseWrite(); err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, conn)
	return 1, err
}

// reset is connect, but that every fourth connection is reset by the client after its answer, and another fourth by the
// server on a message that asks for it. How a relay passes that on is its own affair.
func (w *worker) reset() (int, error) {
	switch w.turns % 4 {
	case 0, 2:
		return w.connect()
	}
	conn, err := w.begin()
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if w.turns%4 == 1 {
		return 1, conn.SetLinger(0)
	}
	if _, err := conn.Write(order(abort)); err != nil {
		return 0, err
	}
	if n, _ := io.Copy(io.Discard, conn); n > 0 {
		return 0, errors.New("there was an answer to what asks for a reset")
	}
	return 1, nil
}

// begin makes a connection and has a request answered.
func (w *worker) begin() (*net.TCPConn, error) {
	conn, err := dial(w.address, time.Now().Add(patience))
	if err != nil {
		return nil, err
	}
	if err := ask(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

func (w *worker) request() (int, error) { return 1, ask(w.conn) }

// receive takes what the backend sends.
func (w *worker) receive() (int, error) {
	if err := w.flow(stream); err != nil {
		return 0, err
	}
	return w.conn.Read(w.buf)
}

// send has the backend take what it can.
func (w *worker) send() (int, error) {
	if err := w.flow(swallow); err != nil {
		return 0, err
	}
	return w.conn.Write(w.buf)
}

// flow tells the backend what it is to do from now on.
func (w *worker) flow(what byte) error {
	if w.turns > 0 {
		return nil
	}
	w.buf = make([]byte, chunkSize)
	_, err := w.conn.Write(order(what))
	return err
}

func (w *worker) rest() (int, error) {
	time.Sleep(time.Until(w.end))
	return 1, nil
}

const chunkSize = 256 << 10

func dial(address string, deadline time.Time) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", address, time.Until(deadline))
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(deadline)
}

// order is a message that asks for something.
func order(what byte) []byte { return bytes.Repeat([]byte{what}, messageSize) }

// message is a small request, and the answer to it.
var message = order(echo)

func ask(conn net.Conn) error {
	if _, err := conn.Write(message); err != nil {
		return err
	}
	answer := make([]byte, messageSize)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if !bytes.Equal(answer, message) {
		return errors.New("the answer is not what was sent")
	}
	return nil
}
