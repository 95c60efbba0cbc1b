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

// work is what is done through each contestant, by so many connections at a time.
type work struct {
	name, unit  string
	connections int
	size        float64 // how many counted things make one unit
	latency     bool
	do          func(w *worker) error
}

var works = []work{
	{"new connections", "connection", 16, 1, true, (*worker).connect},
	{"small requests", "request", 64, 1, true, (*worker).request},
	{"bulk", "GB", 4, 1e9, false, (*worker).receive},
}

// order is what the load generator is told to do.
type order struct {
	Work    int           `json:"work"` // index in works
	Address string        `json:"address"`
	Length  time.Duration `json:"length"`
}

// outcome is what the load generator has done.
type outcome struct {
	Count    int64         `json:"count"` // things
	Elapsed  time.Duration `json:"elapsed"`
	P50, P99 time.Duration
	Error    string `json:"error"`
}

// worker is one of the connections, or of those who make connections one after the other.
type worker struct {
	address string
	conn    net.Conn // nil where each turn makes its own
	end     time.Time
	count   int64
	took    []time.Duration
}

// patience is how long after its end an answer may come.
const patience = 20 * time.Second

// generate is the load generator's process. It writes a line when it is connected, begins when it is sent one, writes
// the outcome, and keeps the connections until stdin ends, so that their ends are not measured.
func generate(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	job := works[o.Work]
	team := make([]*worker, job.connections)
	for i := range team {
		team[i] = &worker{address: o.Address}
		if o.Work == 0 {
			continue
		}
		conn, err := dial(o.Address, time.Now().Add(o.Length+patience))
		if err == nil {
			err = ask(conn)
		}
		if err != nil {
			return err
		}
		team[i].conn = conn
	}
	fmt.Println("ready")
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		return err
	}
	start := time.Now()
	faults := make([]error, len(team))
	var group sync.WaitGroup
	for i, w := range team {
		w.end = start.Add(o.Length)
		group.Go(func() { faults[i] = job.do(w) })
	}
	group.Wait()
	out := outcome{Elapsed: time.Since(start)}
	var took []time.Duration
	for i, w := range team {
		out.Count += w.count
		took = append(took, w.took...)
		if faults[i] != nil {
			out.Error = faults[i].Error()
		}
	}
	if slices.Sort(took); len(took) > 0 {
		out.P50, out.P99 = took[len(took)/2], took[len(took)*99/100]
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
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

// connect makes connections one after the other, with one request in each. The time is that until the answer; the
// connection counts when both sides have ended it in good order.
func (w *worker) connect() error {
	for time.Now().Before(w.end) {
		start := time.Now()
		conn, err := dial(w.address, w.end.Add(patience))
		if err != nil {
			return err
		}
		err = ask(conn)
		w.took = append(w.took, time.Since(start))
		if err == nil {
			err = conn.(*net.TCPConn).CloseWrite()
		}
		if err == nil {
			_, err = io.Copy(io.Discard, conn)
		}
		conn.Close()
		if err != nil {
			return err
		}
		w.count++
	}
	return nil
}

// request makes one request after the other on one connection.
func (w *worker) request() error {
	for start := time.Now(); start.Before(w.end); {
		if err := ask(w.conn); err != nil {
			return err
		}
		now := time.Now()
		w.took = append(w.took, now.Sub(start))
		w.count++
		start = now
	}
	return nil
}

// receive takes what the backend sends for as long as the work lasts.
func (w *worker) receive() error {
	order := bytes.Clone(message)
	order[0] = stream
	if _, err := w.conn.Write(order); err != nil {
		return err
	}
	for buf := make([]byte, 256<<10); time.Now().Before(w.end); {
		n, err := w.conn.Read(buf)
		if err != nil {
			return err
		}
		w.count += int64(n)
	}
	return nil
}
