package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"
)

// outcome is what all workers together have done.
type outcome struct {
	Count          int
	Elapsed        time.Duration
	P50, P99, P999 time.Duration // of a turn
	Error          string
}

// patience is how long anything that should take no time may take.
const patience = 20 * time.Second

// generate is the load generator's process. It writes a line when it is connected, begins when it is sent one, writes
// the outcome, and keeps the connections until it is stopped, so that their ends are not measured.
func generate(job work, workers int, address string, length time.Duration) error {
	team := make([]worker, workers)
	for i := range team {
		conn, err := dial(address, time.Now().Add(length+3*patience))
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
	at := func(thousandths int) time.Duration { return took[len(took)*thousandths/1000] }
	out.P50, out.P99, out.P999 = at(500), at(990), at(999)
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(team) // the collector closes connections that nobody will use
	return err
}
