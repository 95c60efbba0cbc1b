package doctor

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"whyreset/config"
	"whyreset/proxy/kernel"
)

// network looks at the kernel parameters that change what connections through this host meet. One that is as it usually is
// makes no finding.
func (e *examiner) network(context.Context) {
	e.reversePath()
	e.forwarding()
	e.cookies()
	e.overflow()
	e.localPorts()
	e.tracked()
}

// reversePath: fib_validate_source drops in silence what comes in by another interface than the way back leads out.
func (e *examiner) reversePath() {
	borrowed := slices.ContainsFunc(e.Config.Listeners, func(l config.Listener) bool { return l.Mode != config.ModeForward && l.Source != config.SourceOwn })
	if !borrowed {
		return
	}
	all, _ := e.number("net.ipv4.conf.all.rp_filter")
	var strict []string
	paths, _ := filepath.Glob("/proc/sys/net/ipv4/conf/*/rp_filter")
	for _, path := range paths {
		name := filepath.Base(filepath.Dir(path))
		if name == "all" || name == "default" || name == "lo" {
			continue
		}
		text, _ := e.read(path)
		if own, _ := strconv.Atoi(text); max(all, own) == 1 {
			strict = append(strict, name)
		}
	}
	if len(strict) == 0 {
		return
	}
	e.add(Finding{ID: "rp_filter", Area: Network, Level: Note, What: "reverse path filtering is strict (rp_filter=1) on " + strings.Join(strict, ", "),
		Why: "where the way to a client and the way from it use different interfaces its packets are dropped in silence, which shows as connect_timeout or path_silent",
		Do:  "nothing where routing is symmetric; otherwise net.ipv4.conf.all.rp_filter=2"})
}

// forwarding, where no plan says whether it is needed.
func (e *examiner) forwarding() {
	on, known := e.number("net.ipv4.ip_forward")
	stranger := slices.ContainsFunc(e.Config.Listeners, func(l config.Listener) bool {
		return l.Mode != config.ModeForward && l.OwnAddresses == config.GuardRefuse
	})
	if e.Plan != nil || !known || on != 0 || !stranger {
		return
	}
	e.add(Finding{ID: "ip_forward", Area: Network, Level: Note, What: "this host forwards nothing (net.ipv4.ip_forward=0)",
		Why: "as a router it would drop what packet rules do not take, and everything while no proxy runs; on the clients' own host it does not matter",
		Do:  "on a router: sysctl -w net.ipv4.ip_forward=1"})
}

func (e *examiner) cookies() {
	switch mode, _ := e.number("net.ipv4.tcp_syncookies"); {
	case mode == 2 && e.uses(config.ModeTProxy):
		e.add(Finding{ID: "syncookies", Area: Network, Level: Fail, What: "every handshake is answered with a SYN cookie (net.ipv4.tcp_syncookies=2)",
			Why: "a cookie stands for a socket that does not exist yet, and mode tproxy finds connections by their sockets: none can be made",
			Do:  "sysctl -w net.ipv4.tcp_syncookies=1"})
	case mode == 2:
		e.add(Finding{ID: "syncookies", Area: Network, Level: Warn, What: "every handshake is answered with a SYN cookie (net.ipv4.tcp_syncookies=2)",
			Why: "without timestamps a cookie has no room for window scaling and selective acknowledgement: connections of such clients are slow",
			Do:  "sysctl -w net.ipv4.tcp_syncookies=1, which sends them only when the queue is full"})
	}
}

// overflow is about connections that come faster than they are accepted.
func (e *examiner) overflow() {
	if n, ok := e.number("net.core.somaxconn"); ok && n < kernel.Backlog {
		f := Finding{ID: "somaxconn", Area: Network, Level: Note, What: fmt.Sprintf("%d connections may wait to be accepted (net.core.somaxconn), where %d are asked for", n, kernel.Backlog),
			Why: "a burst beyond it is dropped, and clients try again after a second or more",
			Do:  fmt.Sprintf("sysctl -w net.core.somaxconn=%d", kernel.Backlog)}
		if cookies, _ := e.number("net.ipv4.tcp_syncookies"); cookies == 1 && e.uses(config.ModeTProxy) {
			f.Level = Warn
			f.Why = "a burst beyond it is answered with SYN cookies, and in mode tproxy such handshakes fail"
			f.Do += ", or net.ipv4.tcp_syncookies=0"
		}
		e.add(f)
	}
	if n, _ := e.number("net.ipv4.tcp_abort_on_overflow"); n == 1 {
		e.add(Finding{ID: "abort_on_overflow", Area: Network, Level: Warn, What: "net.ipv4.tcp_abort_on_overflow is on",
			Why: "a burst beyond the queue is reset by this host before the proxy sees it: such resets have no record",
			Do:  "sysctl -w net.ipv4.tcp_abort_on_overflow=0"})
	}
}

// localPorts is about the ports that this host dials from.
func (e *examiner) localPorts() {
	text, ok := e.sysctl("net.ipv4.ip_local_port_range")
	var first, last int
	if _, err := fmt.Sscan(text, &first, &last); !ok || err != nil || last < first {
		return
	}
	e.dialFrom(last - first + 1)
	reserved, _ := e.sysctl("net.ipv4.ip_local_reserved_ports")
	for _, l := range e.Config.Listeners {
		_, port, _ := net.SplitHostPort(l.Address)
		n, _ := strconv.Atoi(port)
		if n < first || n > last || inRanges(n, reserved) {
			continue
		}
		e.add(Finding{ID: "port_in_range", Area: Network, Level: Note, Listener: l.Name,
			What: fmt.Sprintf("port %d is one that this host also dials from (net.ipv4.ip_local_port_range %d-%d)", n, first, last),
			Why:  "while the proxy is restarted another connection may take it, and then the listener cannot be opened",
			Do:   fmt.Sprintf("choose a port below %d, or sysctl -w net.ipv4.ip_local_reserved_ports=%d", first, n)})
	}
}

// timeWait is TCP_TIMEWAIT_LEN of include/net/tcp.h, in seconds.
const timeWait = 60

// dialFrom is about how many connections so many ports of this host's own addresses are good for.
func (e *examiner) dialFrom(ports int) {
	own := slices.ContainsFunc(e.Config.Listeners, func(l config.Listener) bool { return l.Source == config.SourceOwn })
	if !own {
		return
	}
	f := Finding{ID: "local_ports", Area: Network, Level: OK, What: fmt.Sprintf("%d ports to dial from (net.ipv4.ip_local_port_range)", ports),
		Do: "sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\", or give the upstream several addresses"}
	reuse, _ := e.number("net.ipv4.tcp_tw_reuse")
	switch want := e.Config.Limits.Connections; {
	case want > ports:
		f.Level, f.What = Warn, fmt.Sprintf("%s, and limits.connections is %d", f.What, want)
		f.Why = "that many connections to one upstream address at once is what this host can have: more are refused with EADDRNOTAVAIL"
	case reuse != 1: // 0 is never, 2 for the loopback interface alone
		f.Level, f.What = Note, fmt.Sprintf("%s: at most %d short connections a second to one upstream address", f.What, ports/timeWait)
		f.Why = fmt.Sprintf("a connection that the client closed first keeps its port for %d s (TIME_WAIT); beyond that rate some are refused with EADDRNOTAVAIL", timeWait)
		f.Do = "where there are that many: sysctl -w net.ipv4.tcp_tw_reuse=1"
	default:
		f.Do = ""
	}
	e.add(f)
}

// inRanges reads "8080,9000-9010".
func inRanges(n int, text string) bool {
	for _, part := range strings.Split(text, ",") {
		low, high, ranged := strings.Cut(strings.TrimSpace(part), "-")
		first, err := strconv.Atoi(low)
		if err != nil {
			continue
		}
		last := first
		if ranged {
			last, _ = strconv.Atoi(high)
		}
		if first <= n && n <= last {
			return true
		}
	}
	return false
}

// crowded is the share of a table above which its end is near.
const crowded = 0.8

// tracked is about the connection tracker's table, whose overflow drops new connections in silence.
func (e *examiner) tracked() {
	count, known := e.number("net.netfilter.nf_conntrack_count")
	limit, _ := e.number("net.netfilter.nf_conntrack_max")
	if !known || limit == 0 {
		return
	}
	if float64(count) > crowded*float64(limit) {
		e.add(Finding{ID: "conntrack", Area: Network, Level: Warn, What: fmt.Sprintf("%d of %d tracked connections are taken (net.netfilter.nf_conntrack_max)", count, limit),
			Why: "when the table is full, packets of new connections are dropped in silence, which shows as connect_timeout",
			Do:  fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d", 4*limit)})
	}
	if keep, ok := e.number("net.netfilter.nf_conntrack_tcp_timeout_established"); ok && count > 0 && keep < 2*60*60 {
		e.add(Finding{ID: "conntrack_established", Area: Network, Level: Note,
			What: fmt.Sprintf("this host forgets tracked connections that are silent for %d s (nf_conntrack_tcp_timeout_established)", keep),
			Why:  "where its rules translate addresses, or drop what is not known, a connection idle for longer is cut or reset by this host itself",
			Do:   "keep it above the longest silence of your connections, two hours being a usual keepalive"})
	}
}
