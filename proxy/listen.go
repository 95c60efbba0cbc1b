package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"whyreset/config"
	"whyreset/proxy/intercept"
	"whyreset/proxy/kernel"
	"whyreset/proxy/relay"
)

// listener is a configured listener and the address it really has.
type listener struct {
	config.Listener
	target  *relay.Target
	way     intercept.Way // in mode forward no more than a mark
	host    string        // to be looked up; empty for a literal address
	port    uint16
	address netip.AddrPort

	reloaded chan struct{} // capacity 1: the interval may have changed
}

func (s *Server) listen(l config.Listener) error {
	at, err := listenAddress(l.Address)
	if err != nil {
		return fmt.Errorf("listener %s: address %s: %w", l.Name, l.Address, err)
	}
	mine := &listener{Listener: l, target: relay.NewTarget(l.Upstream), reloaded: make(chan struct{}, 1)}
	if l.Mode == config.ModeRedirect || l.Mode == config.ModeTProxy {
		if mine.way, err = transparent(l, s.config.Rules); err != nil {
			return fmt.Errorf("listener %s: %w", l.Name, err)
		}
	} else if err := mine.aim(); err != nil {
		return fmt.Errorf("listener %s: upstream %s: %w", l.Name, l.Upstream, err)
	} else if marked(l, s.config.Rules) && kernel.MayMark(s.config.Rules.Mark) == 0 {
		mine.way.Mark = s.config.Rules.Mark
	}
	mine.address, err = s.relay.Listen(relay.Listener{Name: l.Name, Address: at, Target: mine.target, Way: mine.way})
	if errors.Is(err, syscall.EAFNOSUPPORT) && at.Addr() == netip.IPv6Unspecified() { // a host without IPv6
		at = netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port())
		mine.address, err = s.relay.Listen(relay.Listener{Name: l.Name, Address: at, Target: mine.target, Way: mine.way})
	}
	if err != nil {
		return &ListenError{Listener: l.Name, Address: l.Address, Mode: l.Mode, Err: err}
	}
	s.listeners = append(s.listeners, mine)
	return nil
}

// ListenError says that a listener's address could not be had.
type ListenError struct {
	Listener, Address string
	Mode              config.Mode
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
	case errors.Is(e.Err, syscall.EPERM) && e.Mode == config.ModeTProxy:
		return "mode tproxy needs CAP_NET_RAW or CAP_NET_ADMIN (IP_TRANSPARENT)"
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

func (s *Server) listens() string {
	text := "listening"
	for i, l := range s.listeners {
		sep := ","
		if i == 0 {
			sep = ":"
		}
		text += fmt.Sprintf("%s %s on %s to %s", sep, l.Name, l.address, l.goal())
	}
	return text
}
