package config

import (
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// listenAddr is where a listener listens. An invalid ip is the empty host:
// every address of this host, of both families.
type listenAddr struct {
	ip   netip.Addr
	port uint16
}

// upstreamAddr is what a listener dials: ip if it is a literal, else name.
type upstreamAddr struct {
	ip   netip.Addr
	name string
	port uint16
}

func parseListen(text string) (listenAddr, *fault) {
	host, port, bad := splitHostPort(text, true)
	if bad != nil || host == "" {
		return listenAddr{port: port}, bad
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case err == nil && ip.IsMulticast():
		return listenAddr{}, &fault{what: "is a multicast address, which takes no connections"}
	case err == nil:
		return listenAddr{ip: ip.Unmap(), port: port}, nil
	case numericHost.MatchString(host):
		return listenAddr{}, &fault{what: "holds no valid IP address"}
	case isLocalhost(host):
		return listenAddr{}, &fault{what: "names a host where an IP address must stand", suggest: withPort("127.0.0.1", port)}
	}
	return listenAddr{}, &fault{what: "names a host where an IP address must stand"}
}

// hostName follows what resolvers take, not what RFC 1123 allows: underscores
// are common in container networks.
var (
	hostName    = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$`)
	numericHost = regexp.MustCompile(`^[0-9.]+$`)
	portNumber  = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)
)

func parseUpstream(text string) (upstreamAddr, *fault) {
	host, port, bad := splitHostPort(text, false)
	if bad != nil {
		return upstreamAddr{}, bad
	}
	if host == "" {
		return upstreamAddr{}, &fault{what: "has no host", suggest: "127.0.0.1" + text}
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.IsUnspecified() || ip.IsMulticast() {
			return upstreamAddr{}, &fault{what: "is not an address that can be dialled"}
		}
		return upstreamAddr{ip: ip.Unmap(), port: port}, nil
	}
	if numericHost.MatchString(host) {
		return upstreamAddr{}, &fault{what: "holds no valid IP address"}
	}
	if len(host) > 253 || !hostName.MatchString(host) {
		return upstreamAddr{}, &fault{what: "holds no valid host name"}
	}
	return upstreamAddr{name: host, port: port}, nil
}

func splitHostPort(text string, zeroPort bool) (string, uint16, *fault) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", 0, explainSplit(text)
	}
	if strings.HasPrefix(text, "[") && !strings.Contains(host, ":") {
		return "", 0, &fault{what: "has brackets around something other than an IPv6 address", suggest: host + ":" + port}
	}
	n, bad := parsePort(port, zeroPort)
	return host, n, bad
}

func parsePort(text string, zero bool) (uint16, *fault) {
	if text == "" {
		return 0, &fault{what: "has no port"}
	}
	if !portNumber.MatchString(text) {
		return 0, &fault{what: "has a port that is not a decimal number"}
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, &fault{what: "has a port above 65535"}
	}
	if n == 0 && !zero {
		return 0, &fault{what: "has port 0, which cannot be dialled"}
	}
	return uint16(n), nil
}

// explainSplit says in which of the usual ways text is not HOST:PORT.
func explainSplit(text string) *fault {
	last := strings.LastIndexByte(text, ':')
	switch {
	case text == "":
		return &fault{what: "is empty"}
	case portNumber.MatchString(text):
		return &fault{what: "has no host", suggest: "127.0.0.1:" + text}
	case last < 0, strings.HasSuffix(text, "]"):
		return &fault{what: "has no port"}
	}
	if scheme, rest, url := strings.Cut(text, "://"); url {
		return &fault{what: "is a URL (" + printable(scheme) + "), not an address", suggest: strings.TrimRight(rest, "/")}
	}
	if ip, err := netip.ParseAddr(text[:last]); err == nil && ip.Is6() {
		if port, bad := parsePort(text[last+1:], true); bad == nil {
			return &fault{what: "is an IPv6 address without brackets", suggest: withPort(text[:last], port)}
		}
	}
	if _, err := netip.ParseAddr(text); err == nil {
		return &fault{what: "is an IPv6 address without brackets and port"}
	}
	return &fault{what: "is not an address with a port"}
}

func withPort(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// overlaps says whether the kernel would refuse to bind both.
func (a listenAddr) overlaps(b listenAddr) bool {
	if a.port == 0 || a.port != b.port {
		return false // port 0 is a fresh one each time
	}
	return a.covers(b.ip) || b.covers(a.ip)
}

// covers says whether a connection to ip would arrive at a, ports aside. [::]
// is listened on without IPV6_V6ONLY and so takes IPv4 too.
func (a listenAddr) covers(ip netip.Addr) bool {
	if !a.ip.IsValid() || a.ip == ip {
		return true
	}
	return a.ip.IsUnspecified() && ip.IsValid() && (a.ip.Is6() || ip.Is4())
}

// reaches says whether dialling u ends at a: the addresses are equal, or a
// listens on every address and u is this host's loopback. "localhost" counts as
// both loopback addresses, since either may be tried. Other addresses of this
// host and other names are not known here; the proxy itself refuses those loops
// when the connection arrives.
func (u upstreamAddr) reaches(a listenAddr) bool {
	if a.port == 0 || u.port != a.port {
		return false
	}
	if isLocalhost(u.name) {
		return a.covers(netip.AddrFrom4([4]byte{127, 0, 0, 1})) || a.covers(netip.IPv6Loopback())
	}
	if !u.ip.IsValid() {
		return false
	}
	return a.ip == u.ip || u.ip.IsLoopback() && a.covers(u.ip)
}

// isLocalhost follows RFC 6761 section 6.3.
func isLocalhost(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}
