// Package relay moves bytes between pairs of sockets, unchanged, and notes how each leg ended.
//
//	r, err := relay.New(relay.Options{Connect: 10 * time.Second, Ended: report})
//	target := relay.NewTarget("db:5432")
//	target.Set([]netip.AddrPort{netip.MustParseAddrPort("10.0.0.5:5432")})
//	at, err := r.Listen(relay.Listener{Name: "db", Address: netip.MustParseAddrPort("127.0.0.1:15432"), Target: target})
//	r.Start()
//	…
//	r.StopAccepting(); r.Abort(); r.Close()
//
// One event loop for each processor owns its connections from accept to close: no goroutine, no lock and
// no finalizer for a connection. A reset on one leg is seen at once, also while the other is blocked; a
// goroutine blocked in a write to B never hears of a reset on A (measured).
//
// What it promises: a reset is passed on as a reset and a FIN as a FIN, and what was received before is
// delivered first. What it does not do: explain anything, write records or look up names.
package relay

import (
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"whyreset/proxy/intercept"
	"whyreset/proxy/kernel"
)

// Options are the relay's settings. The zero value runs one loop per processor with no timeout at all.
type Options struct {
	Loops  int            // event loops; zero: one for each processor this process may use
	Socket kernel.Options // keepalive and user timeout of both legs; zero changes nothing
	Pipes  int            // most pipes at a time, over all loops; zero: 256

	// Ended is given the connections that ended since its last call, in order of their end within one
	// loop. It runs on a goroutine of the relay's own, never on a loop; the slice is reused after it
	// returns. Nil: nobody is told.
	Ended func([]Ended)
	// Notice is told of trouble that belongs to no connection. Nil: nobody is told. It runs like Ended.
	Notice func(Notice)
	// Started is told of connections that have lasted for StartAfter and go on. Nil, or StartAfter zero:
	// nobody is told. It runs like Ended, and before it for the same connection.
	Started    func([]Started)
	StartAfter time.Duration

	// Dialling is told of each address that a client's own aim leads to, before it is dialled. It runs on a loop and must
	// not block. Nil: nobody is told.
	Dialling func(to netip.AddrPort)

	Timeouts
	Limits
}

// Timeouts are limits of ours; zero is none. They can change while the relay runs.
type Timeouts struct {
	Connect time.Duration // for each address of the upstream
	Idle    time.Duration // no byte either way
	Flush   time.Duration // no progress while the last bytes are delivered, after the far end is gone
}

// Listener is a port and where its connections go.
type Listener struct {
	Name    string
	Address netip.AddrPort // port 0: any free one
	Target  *Target

	// Way is how connections come and go on. Zero: straight here and to the target; else the client's own aim is dialled
	// and the target has no addresses. Listen fills in its Listen.
	Way intercept.Way
}

// Notice is trouble of the relay's own, or its end.
type Notice struct {
	Listener string
	Errno    kernel.Errno  // what accept4 said; zero: the listener accepts again
	Pause    time.Duration // how long the listener will not accept
}

// Relay is a running set of loops.
type Relay struct {
	opt       Options
	timeouts  atomic.Pointer[Timeouts]
	loops     []*loop
	limits    limits
	dialled   dialled
	active    atomic.Int64
	accepting atomic.Int64 // listening sockets of all loops
	sequence  atomic.Uint64
	dropped   atomic.Uint64

	fresh    chan struct{} // capacity 1: something waits for the reporter
	stopping chan struct{}
	running  sync.WaitGroup
	reporter sync.WaitGroup

	mu     sync.Mutex // guards closed: no order may write to a descriptor that is already another's
	closed bool
}

// New makes the loops; nothing runs before Start.
func New(opt Options) (*Relay, error) {
	if opt.Loops <= 0 {
		opt.Loops = runtime.GOMAXPROCS(0)
	}
	if opt.Pipes <= 0 {
		opt.Pipes = 256
	}
	r := &Relay{opt: opt, fresh: make(chan struct{}, 1), stopping: make(chan struct{})}
	r.timeouts.Store(&opt.Timeouts)
	r.SetLimits(opt.Limits)
	for range opt.Loops {
		l, err := newLoop(r, max(1, opt.Pipes/opt.Loops))
		if err != nil {
			for _, l := range r.loops {
				l.poll.Close()
			}
			return nil, fmt.Errorf("event loop: %w", err)
		}
		r.loops = append(r.loops, l)
	}
	return r, nil
}

// Listen opens the listener in every loop and returns its address. To be called before Start.
//
// The loops share the port with SO_REUSEPORT, which would also let a second whyreset of the same user
// in: so the port is bound once without it first.
func (r *Relay) Listen(ln Listener) (netip.AddrPort, error) {
	ln.Address = netip.AddrPortFrom(ln.Address.Addr().Unmap(), ln.Address.Port()) // as the kernel will name it
	if ln.Address.Port() != 0 {
		probe, err := kernel.Listen(ln.Address, false, r.opt.Socket)
		if err != nil {
			return netip.AddrPort{}, err
		}
		kernel.Close(probe)
	}
	for _, l := range r.loops {
		fd, err := kernel.Listen(ln.Address, true, r.opt.Socket)
		if err != nil {
			return netip.AddrPort{}, err
		}
		if ln.Address.Port() == 0 {
			ln.Address = kernel.LocalAddr(fd)
		}
		ln.Way.Listen = ln.Address
		if err := ln.Way.Prepare(fd); err != nil {
			kernel.Close(fd)
			return netip.AddrPort{}, err
		}
		if errno := l.listen(ln, fd); errno != 0 {
			kernel.Close(fd)
			return netip.AddrPort{}, errno
		}
	}
	return ln.Address, nil
}

// Start runs the loops.
func (r *Relay) Start() {
	for _, l := range r.loops {
		r.running.Add(1)
		go l.run()
	}
	r.reporter.Add(1)
	go r.report()
}

// SetTimeouts changes the limits. A dial under way keeps the one it was begun with.
func (r *Relay) SetTimeouts(t Timeouts) {
	r.timeouts.Store(&t)
	r.order(orderIdle)
}

// Active is the number of pairs alive. One that is just ending has left it before its sockets are closed.
func (r *Relay) Active() int { return int(r.active.Load()) }

// Accepting says that a listener is open. It is true until the loops have obeyed StopAccepting: who waits
// in a queue until then is in no count yet.
func (r *Relay) Accepting() bool { return r.accepting.Load() > 0 }

// StopAccepting closes the listeners, after what already waits in their queues has been accepted.
func (r *Relay) StopAccepting() { r.order(orderStopAccepting) }

// Abort resets every pair, as our own doing.
func (r *Relay) Abort() { r.order(orderAbort) }

// Close aborts what is left, ends the loops and waits until the last ended connection was reported.
// Orders given afterwards do nothing, and neither does another Close.
func (r *Relay) Close() {
	r.order(orderStopAccepting | orderAbort | orderExit)
	r.running.Wait()
	if r.free() {
		close(r.stopping)
	}
	r.reporter.Wait()
}

// free closes the loops' descriptors, once.
func (r *Relay) free() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.closed = true
	for _, l := range r.loops {
		l.close()
	}
	return true
}

func (r *Relay) order(o uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	for _, l := range r.loops {
		l.orders.Or(o)
		l.poll.Wake()
	}
}
