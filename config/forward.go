package config

import (
	"net"
	"net/netip"
	"strings"
)

const forwardForm = "LISTEN=UPSTREAM such as 15432=db:5432 or [::1]:15432=[2001:db8::5]:5432"

// parseForward reads LISTEN=UPSTREAM and writes both sides out in full:
//
//	15432=db:5432         127.0.0.1:15432  db:5432
//	:15432=db             :15432           db:15432
//	[::1]:80=[2001:db8::5]  [::1]:80       [2001:db8::5]:80
//	15432=5432            127.0.0.1:15432  127.0.0.1:5432
//	15432=:5432           127.0.0.1:15432  127.0.0.1:5432
//
// A bare port means the loopback, never every address: opening a service to the
// network is said, not left out.
func parseForward(text string) (listen, upstream string, bad *fault) {
	listen, upstream, ok := strings.Cut(text, "=")
	switch {
	case !ok:
		return "", "", &fault{what: `has no "="`, allowed: forwardForm}
	case strings.Contains(upstream, "="):
		return "", "", &fault{what: `has more than one "="`, allowed: forwardForm + "; give --forward once for each"}
	case listen == "":
		return "", "", &fault{what: `has nothing before the "="`, allowed: forwardForm}
	case upstream == "":
		return "", "", &fault{what: `has nothing after the "="`, allowed: forwardForm}
	}
	if portNumber.MatchString(listen) {
		listen = net.JoinHostPort("127.0.0.1", listen)
	}
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		port = "" // the address will be refused by itself; an upstream of its own port is kept
	}
	return listen, completeUpstream(upstream, port), nil
}

func completeUpstream(upstream, port string) string {
	switch {
	case portNumber.MatchString(upstream):
		return net.JoinHostPort("127.0.0.1", upstream)
	case strings.HasPrefix(upstream, ":") && portNumber.MatchString(upstream[1:]):
		return "127.0.0.1" + upstream
	case port == "" || port == "0": // no port to pass on
		return upstream
	case !strings.Contains(upstream, ":"):
		return upstream + ":" + port
	case strings.HasPrefix(upstream, "[") && strings.HasSuffix(upstream, "]"):
		if ip, err := netip.ParseAddr(upstream[1 : len(upstream)-1]); err == nil && ip.Is6() {
			return upstream + ":" + port
		}
	}
	return upstream
}
