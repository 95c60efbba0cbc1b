package lab

import (
	"context"
	"net"
	"sync"
	"time"
)

// Script is what a peer does with a connection, step by step. The zero Script closes it at once.
//
// A direction that has failed is left alone by later steps, and the script goes on: a peer whose Write met a reset still
// reads, if it was told to, and finds what had arrived before. When the steps are done the connection is closed.
type Script struct {
	Steps []Step

	Sends   Pattern // what Write sends
	Expects Pattern // what Read and ReadAll compare with: the other side's Sends

	// Limit bounds the whole script. Zero means 30 s. What a step was waiting for then fails, which shows in the Outcome
	// as EndStalled or as a WriteErr that is os.ErrDeadlineExceeded.
	Limit time.Duration
}

const defaultLimit = 30 * time.Second

// Run plays the script on the connection and returns when it is done, the connection closed. When ctx ends first,
// reading, writing and waiting fail at once, as at the limit.
func Run(ctx context.Context, conn net.Conn, script Script) Outcome {
	limit := script.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	s := &session{ctx: ctx, conn: conn, script: script}
	s.out.Local, s.out.Remote = addrPort(conn.LocalAddr()), addrPort(conn.RemoteAddr())
	// One source of every interruption: a deadline in the past, whoever ended ctx. It does not end a Close that lingers,
	// and nothing here lingers.
	interrupt := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer interrupt()
	for _, step := range script.Steps {
		step.run(s)
	}
	conn.Close() // an error here is that of a second Close
	return s.out
}

// session is one connection and how far its script has come. Steps of Together run at the same time: the mutex guards
// what follows it, and no step holds it while it waits.
type session struct {
	ctx    context.Context
	conn   net.Conn
	script Script

	mu         sync.Mutex
	out        Outcome
	readEnded  bool
	writeEnded bool
	readAt     int64 // offset in script.Expects
	writeAt    int64 // offset in script.Sends
}

func (s *session) trouble(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.out.Trouble == nil {
		s.out.Trouble = err
	}
}

func (s *session) over(ended *bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *ended
}
