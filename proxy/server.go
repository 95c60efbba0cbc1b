// Package proxy is the whole proxy: listeners that forward to their upstreams, or to where the client meant to go, a relay
// that carries the bytes, and a record of how each connection ended and why.
//
//	s, err := proxy.New(cfg, log)
//	s.Start()
//	…
//	s.Stop(ctx) // no new connections; those there may go on until ctx is done
//
// It puts together what the packages below it do and adds no behaviour of its own on the path of the
// bytes. It reads no file and no environment: the configuration comes in, checked, from package config.
package proxy

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"whyreset/config"
	"whyreset/diagnose/record"
	"whyreset/proxy/kernel"
	"whyreset/proxy/relay"
	"whyreset/proxy/watch"
)

// Log takes the records. No method may block: bytes flow on whatever becomes of the records.
type Log interface {
	Connection(*record.Connection) // it has ended
	Started(*record.Connection)    // it has lasted and goes on
	Notice(record.Notice)
}

// Server is one running proxy.
type Server struct {
	log       Log
	relay     *relay.Relay
	names     *net.Resolver
	listeners []*listener
	sources   watch.Sources
	packets   *watch.Packets // one of the sources; nil: not watched
	finals    *finals
	rewritten map[string]bool // listeners whose clients' packets bear another destination than the socket, by name

	mu     sync.Mutex
	config *config.Config // as it is in force

	// The reporter's own.
	lost    uint64             // stories that could not be told, as far as that was told
	started map[uint64]started // connections recorded while they go on, by number

	// Of whoever makes verdicts final: what was told of losses.
	toldEarly, toldLost uint64

	stop    context.CancelFunc
	running sync.WaitGroup
}

// New opens the listeners; nothing is accepted before Start. The error names the listener and its address.
func New(cfg *config.Config, log Log) (*Server, error) {
	s := &Server{log: log, names: net.DefaultResolver, config: cfg, started: map[uint64]started{}, finals: newFinals(), rewritten: map[string]bool{}}
	witness, err := openWitness(cfg.Evidence.Witness)
	if err != nil {
		return nil, err
	}
	s.sources = watch.Sources{Packets: watch.Absent("off"), Witness: witness}
	r, err := relay.New(relay.Options{
		Socket:   socketOptions(cfg.Timeouts),
		Timeouts: relayTimeouts(cfg.Timeouts),
		Ended:    s.tell,
		Notice:   s.notice,
		Limits:   relay.Limits(cfg.Limits),

		Started: s.tellStarted, StartAfter: cfg.Log.StartAfter,
		Dialling: s.dialling,
	})
	if err != nil {
		s.sources.Close()
		return nil, err
	}
	s.relay = r
	for _, l := range cfg.Listeners {
		s.rewritten[l.Name] = l.Mode == config.ModeRedirect
		if err := s.listen(l); err != nil {
			r.Close()
			s.sources.Close()
			return nil, err
		}
	}
	if err := s.watchPackets(cfg.Evidence.Packets); err != nil {
		r.Close()
		s.sources.Close()
		return nil, err
	}
	return s, nil
}

func socketOptions(t config.Timeouts) kernel.Options {
	return kernel.Options{KeepAlive: int(t.Keepalive / time.Second), UserTimeout: int(t.User / time.Millisecond)}
}

func relayTimeouts(t config.Timeouts) relay.Timeouts {
	return relay.Timeouts{Connect: t.Connect, Idle: t.Idle, Flush: t.Flush}
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
	s.running.Go(func() { s.refreshPolicies(ctx) })
	s.running.Go(func() { s.conclude(ctx) })
	done := make(chan struct{})
	go func() { first.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(firstLookup):
	}
	s.relay.Start()
	s.log.Notice(record.Notice{Level: record.Info, Code: record.Started, Message: s.listens()})
}

// Stop ends the proxy: no new connections at once, time for those there until ctx is done, resets for
// what is left then. Who waits in a listener's queue is there already. All records have been given to the log when it returns.
func (s *Server) Stop(ctx context.Context) {
	s.relay.StopAccepting()
	s.log.Notice(record.Notice{Level: record.Info, Code: record.Stopping, Count: uint64(s.relay.Active()),
		Message: fmt.Sprintf("stopping; connections left: %d", s.relay.Active())})
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
	s.flush()
	s.sources.Close()
	s.log.Notice(record.Notice{Level: record.Info, Code: record.Stopped, Count: uint64(cut),
		Message: fmt.Sprintf("stopped; connections reset: %d", cut)})
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
	for _, l := range s.listeners {
		select {
		case l.reloaded <- struct{}{}:
		default:
		}
	}
	return changes
}

// Config is what is in force.
func (s *Server) Config() *config.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config
}
