// Package proxy is the whole proxy: listeners that forward to their upstreams, a relay that carries the
// bytes, and a record of how each connection ended and why.
//
//	s, err := proxy.New(cfg, log)
//	err = s.Start()
//	…
//	s.Stop(ctx) // no new connections; those there may go on until ctx is done
//
// It puts together what the packages below it do and adds no behaviour of its own on the path of the
// bytes. It reads no file and no environment: the configuration comes in, checked, from package config.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"

	"whyreset/config"
	"whyreset/diagnose"
	"whyreset/diagnose/record"
	"whyreset/proxy/kernel"
	"whyreset/proxy/relay"
)

// Log takes the records. Neither method may block: bytes flow on whatever becomes of the records.
type Log interface {
	Connection(*record.Connection) // it has ended
	Started(*record.Connection)    // it has lasted and goes on
	Notice(record.Notice)
}

// Server is one running proxy.
type Server struct {
	log       Log
	relay     *relay.Relay
	listeners []*listener

	mu     sync.Mutex
	config *config.Config // as it is in force

	// The reporter's own.
	lost    uint64             // stories that could not be told, as far as that was told
	started map[uint64]started // connections recorded while they go on, by number

	stop    context.CancelFunc
	running sync.WaitGroup
}

// listener is a configured listener and the address it really has.
type listener struct {
	config.Listener
	target  *relay.Target
	host    string // to be looked up; empty for a literal address
	port    uint16
	address netip.AddrPort
}

// New opens the listeners; nothing is accepted before Start. The error names the listener and its address.
func New(cfg *config.Config, log Log) (*Server, error) {
	s := &Server{log: log, config: cfg, started: map[uint64]started{}}
	r, err := relay.New(relay.Options{
		Socket:   socketOptions(cfg.Timeouts),
		Timeouts: relayTimeouts(cfg.Timeouts),
		Ended:    s.tell,
		Notice:   s.notice,
		Limits:   relay.Limits(cfg.Limits),

		Started: s.tellStarted, StartAfter: cfg.Log.StartAfter,
	})
	if err != nil {
		return nil, err
	}
	s.relay = r
	for _, l := range cfg.Listeners {
		if err := s.listen(l); err != nil {
			r.Close()
			return nil, err
		}
	}
	return s, nil
}

func socketOptions(t config.Timeouts) kernel.Options {
	return kernel.Options{KeepAlive: int(t.Keepalive / time.Second), UserTimeout: int(t.User / time.Millisecond)}
}

func relayTimeouts(t config.Timeouts) relay.Timeouts {
	return relay.Timeouts{Connect: t.Connect, Idle: t.Idle, Flush: t.Flush}
}

func (s *Server) listen(l config.Listener) error {
	at, err := listenAddress(l.Address)
	if err != nil {
		return fmt.Errorf("listener %s: address %s: %w", l.Name, l.Address, err)
	}
	mine := &listener{Listener: l, target: relay.NewTarget(l.Upstream)}
	if err := mine.aim(); err != nil {
		return fmt.Errorf("listener %s: upstream %s: %w", l.Name, l.Upstream, err)
	}
	mine.address, err = s.relay.Listen(relay.Listener{Name: l.Name, Address: at, Target: mine.target})
	if err != nil {
		return &ListenError{Listener: l.Name, Address: l.Address, Err: err}
	}
	s.listeners = append(s.listeners, mine)
	return nil
}

// ListenError says that a listener's address could not be had.
type ListenError struct {
	Listener, Address string
	Err               error // an errno
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("listener %s cannot listen on %s: %v", e.Listener, e.Address, e.Err)
}

func (e *ListenError) Unwrap() error { return e.Err }

// Hint is what to do about it; empty when there is nothing to say.
func (e *ListenError) Hint() string {
	_, port, _ := net.SplitHostPort(e.Address)
	switch {
	case errors.Is(e.Err, syscall.EADDRINUSE):
		return "another program listens there; find it with: ss -ltnp sport = :" + port
	case errors.Is(e.Err, syscall.EACCES), errors.Is(e.Err, syscall.EPERM):
		return "ports below net.ipv4.ip_unprivileged_port_start (1024) need CAP_NET_BIND_SERVICE"
	case errors.Is(e.Err, syscall.EADDRNOTAVAIL):
		return "no interface of this host has that address; list them with: ip address"
	}
	return ""
}

// listenAddress reads a checked address. An empty host is every address, of both families.
func listenAddress(text string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if host == "" {
		host = "::"
	}
	return parseAddrPort(host, port)
}

func parseAddrPort(host, port string) (netip.AddrPort, error) {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), nil
}

// Addresses are those on which the listeners really listen, by name.
func (s *Server) Addresses() map[string]netip.AddrPort {
	all := make(map[string]netip.AddrPort, len(s.listeners))
	for _, l := range s.listeners {
		all[l.Name] = l.address
	}
	return all
}

// Active is the number of connections carried.
func (s *Server) Active() int { return s.relay.Active() }

// Start looks up the upstreams' names, for firstLookup at most, and begins to accept.
func (s *Server) Start() {
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	var first sync.WaitGroup
	for _, l := range s.listeners {
		if l.host == "" {
			continue
		}
		first.Add(1)
		s.running.Go(func() { s.resolve(ctx, l, first.Done) })
	}
	done := make(chan struct{})
	go func() { first.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(firstLookup):
	}
	s.relay.Start()
	s.log.Notice(record.Notice{Level: record.Info, Code: record.Started, Message: s.listens()})
}

func (s *Server) listens() string {
	text := "listening"
	for i, l := range s.listeners {
		sep := ","
		if i == 0 {
			sep = ":"
		}
		text += fmt.Sprintf("%s %s on %s to %s", sep, l.Name, l.address, l.Upstream)
	}
	return text
}

// Stop ends the proxy: no new connections at once, time for those there until ctx is done, resets for
// what is left then. Who waits in a listener's queue is there already. All records have been given to the log when it returns.
func (s *Server) Stop(ctx context.Context) {
	s.relay.StopAccepting()
	s.log.Notice(record.Notice{Level: record.Info, Code: record.Stopping, Count: uint64(s.relay.Active()),
		Message: fmt.Sprintf("stopping, %d connections left", s.relay.Active())})
	for (s.relay.Accepting() || s.relay.Active() > 0) && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(stopLook):
		}
	}
	cut := s.relay.Active()
	s.stop()
	s.relay.Close()
	s.running.Wait()
	s.log.Notice(record.Notice{Level: record.Info, Code: record.Stopped, Count: uint64(cut),
		Message: fmt.Sprintf("stopped, %d connections reset", cut)})
}

// stopLook is the pause between looks whether the last connection has ended.
const stopLook = 10 * time.Millisecond

// Reload takes over what can change while running and returns all that differs; the rest stays as it was
// and is marked as needing a restart. No connection is cut.
func (s *Server) Reload(cfg *config.Config) []config.Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	changes := config.Diff(s.config, cfg)
	s.config = config.Reloaded(s.config, cfg)
	s.relay.SetTimeouts(relayTimeouts(s.config.Timeouts))
	s.relay.SetLimits(relay.Limits(s.config.Limits))
	return changes
}

// Config is what is in force.
func (s *Server) Config() *config.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config
}

// tell explains and records connections that ended. It runs on the relay's reporter.
func (s *Server) tell(all []relay.Ended) {
	for i := range all {
		e := &all[i]
		ev := e.Evidence()
		ev.Coverage.Packets, ev.Coverage.Witness = notBuilt, notBuilt
		known, ok := s.started[e.Number]
		if !ok {
			known = started{id: record.NewID(e.Start), at: e.Start}
		}
		delete(s.started, e.Number)
		s.log.Connection(&record.Connection{
			ID: known.id, Sequence: e.Number, Listener: e.Listener, Target: e.Target,
			Start: known.at, Duration: e.Duration, Destination: e.Upstream.Remote,
			Downstream: record.Leg(e.Downstream), Upstream: record.Leg(e.Upstream),
			Evidence: ev, Verdict: diagnose.Diagnose(ev),
		})
	}
	if lost := s.relay.Dropped(); lost > s.lost {
		s.log.Notice(record.Notice{Level: record.Error, Code: record.StoriesLost, Count: lost - s.lost,
			Message: fmt.Sprintf("%d connections ended faster than they could be explained and have no record", lost-s.lost)})
		s.lost = lost
	}
}

// started is what the record of the end must repeat from that of the start.
type started struct {
	id string
	at time.Time
}

// tellStarted records connections that have lasted and go on. It runs on the relay's reporter.
func (s *Server) tellStarted(all []relay.Started) {
	for i := range all {
		e := &all[i]
		known := started{id: record.NewID(e.Start), at: e.Start}
		s.started[e.Number] = known
		s.log.Started(&record.Connection{
			ID: known.id, Sequence: e.Number, Listener: e.Listener, Target: e.Target, Start: known.at,
			Destination: e.Upstream.Remote, Downstream: record.Leg(e.Downstream), Upstream: record.Leg(e.Upstream),
		})
	}
}

// notBuilt is why a source of evidence is not watched.
const notBuilt = "not built in this version"

// notice records trouble of the relay's own, and its end.
func (s *Server) notice(n relay.Notice) {
	if n.Errno == 0 {
		s.log.Notice(record.Notice{Level: record.Info, Code: record.AcceptRecovered, Listener: n.Listener,
			Message: fmt.Sprintf("listener %s accepts again", n.Listener)})
		return
	}
	s.log.Notice(record.Notice{Level: record.Error, Code: record.AcceptFailed, Listener: n.Listener, Error: n.Errno.Error(),
		Message: fmt.Sprintf("listener %s cannot accept: %v; it tries again in %v", n.Listener, n.Errno, n.Pause)})
}
