package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"whyreset/diagnose/record"
)

const (
	// firstLookup bounds how long names may hold up the start. Connections that come before there is an
	// answer are refused as proxy_resolve_failed.
	firstLookup = 3 * time.Second
	// lookupLimit bounds one look-up: the resolver's own limit is longer than anybody waits.
	lookupLimit = 10 * time.Second
	// lookupPause keeps failing connects from making a storm of look-ups.
	lookupPause = time.Second
)

// aim reads the upstream: a literal address is the target for good, a name is to be looked up.
func (l *listener) aim() error {
	host, port, err := net.SplitHostPort(l.Upstream)
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return err
	}
	l.port = uint16(n)
	ip, err := netip.ParseAddr(host)
	if err != nil {
		l.host = host
		return nil
	}
	l.target.Set([]netip.AddrPort{netip.AddrPortFrom(ip.Unmap(), l.port)})
	return nil
}

// resolve keeps a listener's addresses fresh: at start, at each interval, after a failed connect and
// after a reload. The last good answer is kept while a look-up fails; that it fails is told once.
func (s *Server) resolve(ctx context.Context, l *listener, first func()) {
	failing := false
	for {
		err := l.lookUp(ctx, s.names)
		if ctx.Err() != nil {
			err = nil
		}
		s.upstreams(l.target.Addresses())
		if err != nil && !failing {
			s.log.Notice(record.Notice{Level: record.Error, Code: record.ResolveFailed, Listener: l.Name, Error: err.Error(),
				Message: fmt.Sprintf("listener %s: no address for upstream %s", l.Name, l.Upstream)})
		}
		failing = err != nil
		if first != nil {
			first()
			first = nil
		}
		if !s.waitToResolve(ctx, l, failing) {
			return
		}
	}
}

// waitToResolve waits until the name is to be looked up again; false when there is no more need.
func (s *Server) waitToResolve(ctx context.Context, l *listener, failing bool) bool {
	pause := time.NewTimer(lookupPause)
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-pause.C:
	}
	interval := s.Config().Resolve.Interval
	if failing && interval > retryAfter {
		interval = retryAfter
	}
	var due <-chan time.Time
	if interval > 0 {
		t := time.NewTimer(max(0, interval-lookupPause))
		defer t.Stop()
		due = t.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-l.target.Failed():
	case <-l.reloaded:
	case <-due:
	}
	return true
}

// retryAfter is how soon a failed look-up is tried again, when resolve.interval is longer.
const retryAfter = 5 * time.Second

func (l *listener) lookUp(ctx context.Context, names *net.Resolver) error {
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	ips, err := names.LookupNetIP(ctx, "ip", l.host)
	if err != nil {
		var dns *net.DNSError
		if errors.As(err, &dns) {
			return errors.New(dns.Err) // the name is said already
		}
		return err
	}
	addresses := make([]netip.AddrPort, len(ips))
	for i, ip := range ips {
		addresses[i] = netip.AddrPortFrom(ip.Unmap(), l.port)
	}
	l.target.Set(addresses)
	return nil
}
