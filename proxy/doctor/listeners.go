package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"

	"whyreset/config"
	"whyreset/proxy"
	"whyreset/proxy/kernel"
)

// listeners tries each address without listening on it, and each upstream's name.
func (e *examiner) listeners(ctx context.Context) {
	if len(e.Config.Listeners) == 0 {
		e.add(Finding{ID: "no_listeners", Area: Listeners, Level: Note, What: "no listener is configured: this is about the host alone",
			Why: "what a listener would need is known once there is one", Do: "give --config FILE or --forward LISTEN=UPSTREAM"})
		return
	}
	var upstreams sync.WaitGroup
	answers := make([][]Finding, len(e.Config.Listeners))
	for i, l := range e.Config.Listeners {
		if l.Mode == config.ModeForward {
			upstreams.Go(func() { answers[i] = e.upstream(ctx, l) })
		}
	}
	upstreams.Wait()
	for i, l := range e.Config.Listeners {
		e.bind(l.Name, l.Address, l.Mode)
		e.reached(l)
		for _, f := range answers[i] {
			e.add(f)
		}
	}
	if e.Config.Admin.Address != "" {
		e.bind("admin", e.Config.Admin.Address, config.ModeForward)
	}
}

func (e *examiner) bind(name, address string, mode config.Mode) {
	f := Finding{ID: "address", Area: Listeners, Level: OK, Listener: name, What: "can listen on " + address}
	if err := tryAddress(address); err != nil {
		refused := &proxy.ListenError{Listener: name, Address: address, Mode: mode, Err: err}
		f.Level, f.What = Fail, fmt.Sprintf("cannot listen on %s: %v", address, err)
		f.Why, f.Do = "the proxy does not start", refused.Hint()
		if errors.Is(err, syscall.EADDRINUSE) {
			_, port, _ := net.SplitHostPort(address)
			switch holder := e.holder(port); {
			case holder.name == "whyreset":
				f.Level, f.Why = Note, "another one cannot be started with this configuration beside it"
				f.What, f.Do = fmt.Sprintf("a whyreset listens on %s already (process %d)", address, holder.pid), ""
			case holder.pid != 0:
				f.Do = fmt.Sprintf("%s has it (process %d): stop that, or let %s listen elsewhere", holder.name, holder.pid, name)
			}
		}
	}
	e.add(f)
}

// tryAddress binds and lets go: nobody can connect meanwhile.
func tryAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	at := netip.IPv6Unspecified()
	if host != "" {
		if at, err = netip.ParseAddr(host); err != nil {
			return err
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return err
	}
	fd, err := kernel.Listen(netip.AddrPortFrom(at.Unmap(), uint16(n)), false, kernel.Options{})
	if errors.Is(err, syscall.EAFNOSUPPORT) && at == netip.IPv6Unspecified() { // a host without IPv6
		fd, err = kernel.Listen(netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(n)), false, kernel.Options{})
	}
	if err != nil {
		return err
	}
	kernel.Close(fd)
	return nil
}

// reached says what cannot get to a transparent listener for its address.
func (e *examiner) reached(l config.Listener) {
	host, port, err := net.SplitHostPort(l.Address)
	if err != nil || l.Mode == config.ModeForward {
		return
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
		e.add(Finding{ID: "loopback", Area: Listeners, Level: Warn, Listener: l.Name, What: "listens on the loopback interface alone, " + l.Address,
			Why: "what the kernel redirects, or hands over, from other hosts goes to this host's address on the interface it came in by: only connections made on this host reach it",
			Do:  "let it listen on :" + port + "; what comes straight to it is refused"})
	}
}

// upstream looks an upstream's name up, and with Connect connects to each address.
func (e *examiner) upstream(ctx context.Context, l config.Listener) (all []Finding) {
	host, port, err := net.SplitHostPort(l.Upstream)
	if err != nil {
		return nil
	}
	ips := []netip.Addr{}
	if ip, err := netip.ParseAddr(host); err == nil {
		ips = append(ips, ip)
	} else {
		f := Finding{ID: "upstream_name", Area: Listeners, Level: OK, Listener: l.Name}
		ips, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err == nil {
			f.What = fmt.Sprintf("upstream %s has %d addresses", host, len(ips))
			if len(ips) == 1 {
				f.What = fmt.Sprintf("upstream %s is %v", host, ips[0].Unmap())
			}
		} else {
			why := err.Error()
			var dns *net.DNSError
			if errors.As(err, &dns) {
				why = dns.Err
			}
			f.Level, f.What = Fail, fmt.Sprintf("upstream %s has no address: %s", host, why)
			f.Why = "connections are refused as proxy_resolve_failed until it has one"
			f.Do = "look at /etc/resolv.conf and /etc/hosts, or give the address itself"
		}
		all = append(all, f)
	}
	if !e.Connect {
		return all
	}
	for _, ip := range ips {
		to := net.JoinHostPort(ip.Unmap().String(), port)
		f := Finding{ID: "upstream_connect", Area: Listeners, Level: OK, Listener: l.Name, What: "upstream " + to + " takes connections"}
		var dialer net.Dialer
		dialer.SetMultipathTCP(false)
		conn, err := dialer.DialContext(ctx, "tcp", to)
		if err != nil {
			var errno syscall.Errno
			why := "no answer in time"
			if errors.As(err, &errno) {
				why = errno.Error()
			}
			f.Level, f.What = Fail, fmt.Sprintf("upstream %s cannot be reached: %s", to, why)
			f.Why, f.Do = "clients are connected and then reset", "start the service, or mend the way there; whyreset run names the cause for each connection"
		} else {
			conn.Close()
		}
		all = append(all, f)
	}
	return all
}
