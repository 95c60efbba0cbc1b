package lab

import (
	"context"
	"errors"
	"net"
	"sync"
)

// ErrStopped is what Next returns when a stopped peer has no outcome left to tell.
var ErrStopped = errors.New("the peer was stopped")

// Peer is a server that plays one script on each connection it accepts.
type Peer struct {
	ln     net.Listener
	script Script
	ctx    context.Context
	cancel context.CancelFunc
	all    sync.WaitGroup // the accept loop and every connection

	mu       sync.Mutex
	playing  int // connections
	outcomes []Outcome
	changed  chan struct{} // closed, and replaced, when there is news for Next
	over     error         // why there will be no more connections: ErrStopped, or what Accept said
}

// Serve accepts connections from the listener, any number at a time, until the peer is stopped, and owns the listener
// from now on.
func Serve(ln net.Listener, script Script) *Peer {
	p := &Peer{ln: ln, script: script, changed: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.all.Add(1)
	go p.accept()
	return p
}

// Addr is where the peer listens.
func (p *Peer) Addr() net.Addr { return p.ln.Addr() }

// Next returns the outcome of the connection that ended next, each of them once. It waits for one until ctx ends. A
// listener that failed is told here, once no connection is left.
func (p *Peer) Next(ctx context.Context) (Outcome, error) {
	for {
		p.mu.Lock()
		if len(p.outcomes) > 0 {
			first := p.outcomes[0]
			p.outcomes = p.outcomes[1:]
			p.mu.Unlock()
			return first, nil
		}
		changed, over := p.changed, p.over
		if p.playing > 0 {
			over = nil // there will be an outcome yet
		}
		p.mu.Unlock()
		if over != nil {
			return Outcome{}, over
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Outcome{}, ctx.Err()
		}
	}
}

// Stop closes the listener, interrupts what is still being played and waits for it. Outcomes not yet asked for stay.
func (p *Peer) Stop() {
	p.cancel()
	p.ln.Close() // a second time does no harm
	p.all.Wait()
	p.news(func() { p.over = ErrStopped })
}

func (p *Peer) accept() {
	defer p.all.Done()
	for {
		conn, err := p.ln.Accept()
		if err != nil {
			if p.ctx.Err() == nil {
				p.news(func() { p.over = err })
			}
			return
		}
		p.all.Add(1)
		p.news(func() { p.playing++ })
		go p.serve(conn)
	}
}

func (p *Peer) serve(conn net.Conn) {
	defer p.all.Done()
	out := Run(p.ctx, conn, p.script)
	p.news(func() { p.playing, p.outcomes = p.playing-1, append(p.outcomes, out) })
}

func (p *Peer) news(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.changed)
	p.changed = make(chan struct{})
}
