package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"whyreset/config"
	"whyreset/diagnose/evidence"
	"whyreset/proxy/intercept"
	"whyreset/proxy/watch"
)

// watchPackets begins to watch packets, if that is wanted. What cannot be watched is said in each record's coverage; only who
// asked for it in so many words is refused.
func (s *Server) watchPackets(want config.Switch) error {
	if want == config.SwitchOff {
		return nil
	}
	var o watch.Options
	for _, l := range s.listeners {
		o.Listening = append(o.Listening, l.address)
		o.Transparent = o.Transparent || l.way.Mode != intercept.Forward
	}
	w, err := watch.OpenPackets(o)
	if err != nil {
		if want == config.SwitchOn {
			return &WatchError{Source: evidence.Packets, Err: err, right: "CAP_NET_RAW"}
		}
		s.sources.Packets = watch.Absent(whyNoPackets(err))
		return nil
	}
	s.sources.Packets, s.packets = w, w
	for _, l := range s.listeners {
		s.upstreams(l.target.Addresses())
	}
	return nil
}

func whyNoPackets(err error) string {
	switch {
	case errors.Is(err, syscall.EPERM):
		return "no CAP_NET_RAW"
	case errors.Is(err, syscall.ENOTSUP):
		return "not on this system"
	}
	return "cannot be watched: " + err.Error()
}

// WatchError says that a source cannot be watched, where the configuration demands it.
type WatchError struct {
	Source evidence.Source
	Err    error

	right string // that it takes
}

func (e *WatchError) Error() string {
	return fmt.Sprintf("evidence.%s is on, and cannot be watched: %v", e.Source, e.Err)
}

func (e *WatchError) Unwrap() error { return e.Err }

// Hint is what to do about it.
func (e *WatchError) Hint() string {
	if errors.Is(e.Err, syscall.EPERM) {
		return fmt.Sprintf("give the process %s, or set evidence.%s to auto to go on without", e.right, e.Source)
	}
	return fmt.Sprintf("set evidence.%s to auto to go on without", e.Source)
}

// upstreams says to the watch where connections will go.
func (s *Server) upstreams(all []netip.AddrPort) {
	if s.packets == nil {
		return
	}
	for _, to := range all {
		s.packets.Upstream(to)
	}
}

// dialling says the same where clients choose: of the port alone, as they choose any number of addresses. It is told on a loop of
// the relay's.
func (s *Server) dialling(to netip.AddrPort) {
	if s.packets != nil {
		s.packets.Port(to.Port())
	}
}
