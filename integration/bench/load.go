package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// work is what is done through each contestant, by so many workers at a time.
type work struct {
	name, unit string
	workers    int
	size       float64 // how many of what turn counts make one unit
	latency    bool    // a turn is something that somebody waits for
	sources    bool    // only whyreset's own cost is of interest
	turn       func(*worker) (int, error)
}

var works = []work{
	{"new connections", "connection", 16, 1, true, false, (*worker).connect},
	{"small requests", "request", 64, 1, true, false, (*worker).request},
	{"bulk", "GB", 4, 1e9, false, false, (*worker).receive},
	{"resets", "connection", 16, 1, true, true, (*worker).reset},
}

// worker takes one turn after the other, on the connection it has unless the turn is to make one.
type worker struct {
	address string
	conn    net.Conn
	begun   bool
	buf     []byte // for bulk, made on first use
	count   int
	took    []time.Duration
	err     error
}

// outcome is what all workers together have done.
type outcome struct {
	Count    int
	Elapsed  time.Duration
	P50, P99 time.Duration // of a turn
	Error    string
}

// patience is how long anything that should take no time may take.
const patience = 20 * time.Second

// generate is the load generator's process. It writes a line when it is connected, begins when it is sent one, writes
// the outcome, and keeps the connections until it is stopped, so that their ends are not measured.
func generate(job work, address string, length time.Duration) error {
	team := make([]worker, job.workers)
	for i := range team {
		conn, err := dial(address, time.Now().Add(length+2*patience))
		if err != nil {
			return err
		}
		if err := ask(conn); err != nil {
			return err
		}
		team[i].address, team[i].conn = address, conn
	}
	fmt.Println("ready")
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		return err
	}
	start := time.Now()
	var group sync.WaitGroup
	for i := range team {
		group.Go(func() { team[i].work(job, start.Add(length)) })
	}
	group.Wait()
	out := outcome{Elapsed: time.Since(start)}
	var took []time.Duration
	for _, w := range team {
		out.Count += w.count
		took = append(took, w.took...)
		if w.err != nil {
			out.Error = w.err.Error()
		}
	}
	slices.Sort(took) // not empty: a worker takes a turn before it looks at the clock
	out.P50, out.P99 = took[len(took)/2], took[len(took)*99/100]
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func (w *worker) work(job work, end time.Time) {
	for now := time.Now(); w.err == nil && (now.Before(end) || !w.begun); w.begun = true {
		start, n := now, 0
		n, w.err = job.turn(w)
		now = time.Now()
		w.count += n
		w.took = append(w.took, now.Sub(start))
	}
}

// connect makes a connection for one request. Its turn is over when both sides have ended it in good order.
func (w *worker) connect() (int, error) {
	conn, err := dial(w.address, time.Now().Add(patience))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := ask(conn); err != nil {
		return 0, err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, conn)
	return 1, err
}

// reset makes a connection for one request and resets it.
func (w *worker) reset() (int, error) {
	conn, err := dial(w.address, time.Now().Add(patience))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := ask(conn); err != nil {
		return 0, err
	}
	return 1, conn.(*net.TCPConn).SetLinger(0)
}

func (w *worker) request() (int, error) { return 1, ask(w.conn) }

// receive takes what the backend sends.
func (w *worker) receive() (int, error) {
	if !w.begun {
		w.buf = make([]byte, 256<<10)
		order := bytes.Clone(message)
		order[0] = stream
		if _, err := w.conn.Write(order); err != nil {
			return 0, err
		}
	}
	return w.conn.Read(w.buf)
}

func dial(address string, deadline time.Time) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", address, time.Until(deadline))
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(deadline)
}

// message is a small request, and the answer to it.
var message = bytes.Repeat([]byte{echo}, messageSize)

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
