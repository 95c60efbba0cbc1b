package config

import "time"

// The comments of the fields below are the reference of the configuration:
// `go test ./config -update` copies them into keydoc_gen.go, from where they
// reach the default file and the usage of the flags. They keep to one form,
// held by a test: "Name is …", then on a line of its own "Default …" or "No
// default.", then what zero or empty means.

// Config is the whole effective configuration. The keys of the file are the
// yaml tags. Defaults returns a usable one; a Config made by hand goes through
// Complete and Validate.
type Config struct {
	// Listeners is the list of places where connections are taken in, in order.
	// Default none. Empty is allowed only where nothing is to be served.
	Listeners []Listener `yaml:"listeners"`
	// Log is how ended connections are told.
	Log Log `yaml:"log"`
	// Timeouts is when the proxy itself gives up. In this section 0 always means
	// no limit of ours; a proxy that cuts nothing hides nothing.
	Timeouts Timeouts `yaml:"timeouts"`
	// Rules is how the kernel's packet rules lead connections to the listeners of modes redirect and tproxy.
	Rules Rules `yaml:"rules"`
	// Resolve is how names of upstreams become addresses.
	Resolve Resolve `yaml:"resolve"`
	// Evidence is which sources of evidence are used beside the sockets, which always are.
	Evidence Evidence `yaml:"evidence"`
	// Limits is how many connections are carried at once.
	Limits Limits `yaml:"limits"`
	// Admin is the listener for people and machines: live page, health, metrics.
	Admin Admin `yaml:"admin"`
}

// Mode is the way in which a listener gets connections.
type Mode string

// Listener modes.
const (
	ModeForward  Mode = "forward"  // listen, and dial a fixed upstream
	ModeRedirect Mode = "redirect" // the kernel redirects; the aim is read by SO_ORIGINAL_DST
	ModeTProxy   Mode = "tproxy"   // the kernel hands over the packets unchanged; IP_TRANSPARENT
)

// SourceAddr says as whom a listener dials its upstream.
type SourceAddr string

// Source addresses of the dialled leg.
const (
	SourceOwn      SourceAddr = "own"       // an address and port of this host
	SourceClientIP SourceAddr = "client-ip" // the client's address, a port of the kernel's choice
	SourceClient   SourceAddr = "client"    // the client's address and port
)

// Listener is one place where connections are taken in.
type Listener struct {
	// Name is what the listener is called in records and metrics: letters, digits, ".", "_", "-", at most 63.
	// It must be unique.
	// Default MODE-N with the first N that is free. Empty = the default.
	Name string `yaml:"name"`
	// Mode is the way in: forward dials a fixed upstream and needs no privilege; redirect and tproxy take
	// connections that the kernel's packet rules send here, and dial where the client meant to go.
	// Default forward.
	Mode Mode `yaml:"mode" one:"forward|redirect|tproxy"`
	// Address is where to listen, IP:PORT with a literal IP (IPv6 in brackets).
	// No default. Empty host (":80") = every address of this host; port 0 = a free one of the kernel's choice.
	Address string `yaml:"address"`
	// Upstream is where mode forward dials to, HOST:PORT. A name may stand for several addresses, which are tried in turn.
	// No default. Empty in modes redirect and tproxy, where the client's own aim is dialled.
	Upstream string `yaml:"upstream"`
	// Source is as whom the upstream is dialled: own address, client-ip (the client's address, another port) or
	// client (the client's address and port; mode tproxy alone). All but own need mode redirect or tproxy, CAP_NET_RAW or
	// CAP_NET_ADMIN where the address is not this host's, and a way back through this host.
	// Default own.
	Source SourceAddr `yaml:"source" one:"own|client-ip|client"`
	// Allow is where modes redirect and tproxy may go on to: addresses and networks such as 10.0.0.0/8, separated by commas.
	// Default "". Empty = wherever nothing else forbids.
	Allow string `yaml:"allow"`
	// Deny is where modes redirect and tproxy must not go on to, written as for allow. What stands in both is denied.
	// Default "". Empty = no list.
	Deny string `yaml:"deny"`
	// OwnAddresses is what modes redirect and tproxy do with connections meant for this host itself: refuse, or allow, as
	// the proxy on a service's own host needs. Loops are refused either way.
	// Default refuse. With rules.placement server or pod, where such connections are what is wanted, it is allow.
	OwnAddresses Guard `yaml:"own_addresses" one:"refuse|allow"`
	// LinkLocal is what modes redirect and tproxy do with connections meant for link-local addresses and the metadata
	// services of clouds: refuse or allow.
	// Default refuse.
	LinkLocal Guard `yaml:"link_local" one:"refuse|allow"`
	// Ports is which destination ports the packet rules take for this listener: ports and ranges such as 5432, 8000-8999,
	// separated by commas.
	// Default "". Empty is for mode forward, and where rules.placement is none.
	Ports string `yaml:"ports"`
	// Interfaces is by which network interfaces what the packet rules take comes in, or goes out with rules.placement client:
	// names separated by commas, where "veth*" means all that begin so.
	// Default "". Empty = all but lo.
	Interfaces string `yaml:"interfaces"`
	// Direction is what the packet rules take with rules.placement pod: what comes in, what goes out, or both.
	// Default both.
	Direction Direction `yaml:"direction" one:"both|in|out"`
	// OnConflict is what source client does when the client comes back from the same port to the same place while its old
	// connection still delivers here. The old one has a moment (250 ms) to end; then abort-old aborts it, and dials from another
	// port where something else holds that port, and refuse refuses the new one. other-port takes another port at once.
	// Default abort-old.
	OnConflict OnConflict `yaml:"on_conflict" one:"abort-old|other-port|refuse"`
}

// Direction is that of connections, seen from a pod.
type Direction string

// Directions.
const (
	DirectionBoth Direction = "both"
	DirectionIn   Direction = "in"
	DirectionOut  Direction = "out"
)

// OnConflict says which of two connections with the same addresses and ports is to live.
type OnConflict string

// Ways to solve a conflict.
const (
	ConflictAbortOld  OnConflict = "abort-old"
	ConflictOtherPort OnConflict = "other-port"
	ConflictRefuse    OnConflict = "refuse"
)

// Guard says what is done with destinations that are rarely meant and easily abused.
type Guard string

// Guard positions.
const (
	GuardRefuse Guard = "refuse"
	GuardAllow  Guard = "allow"
)

// LogFormat is the form of the records.
type LogFormat string

// Forms of the records.
const (
	FormatAuto    LogFormat = "auto"
	FormatJSON    LogFormat = "json"
	FormatConsole LogFormat = "console"
)

// Log says how ended connections are told.
type Log struct {
	// Format is the form of the records: json (one line each), console (for people), or auto (console on a terminal, else json).
	// Default auto.
	Format LogFormat `yaml:"format" one:"auto|json|console"`
	// Output is where the records go: stdout, stderr, or the path of a file (holding a "/"), to which is appended.
	// Default stdout. Empty is not allowed.
	Output string `yaml:"output"`
	// SampleClean is the share of harmlessly ended connections that is recorded, 0 to 1; harmful endings are always recorded.
	// Default 1. 0 = no record of harmless endings.
	SampleClean float64 `yaml:"sample_clean"`
	// StartAfter is how long a connection must have lasted to be recorded while it goes on, for sessions whose end is far away.
	// Default 0s. 0 = connections are recorded when they end, and only then.
	StartAfter time.Duration `yaml:"start_after"`
}

// Timeouts says when the proxy itself gives up.
type Timeouts struct {
	// Connect is how long the dial to one upstream address may take.
	// Default 10s. 0 = no limit of ours: the kernel gives up after its own SYN retries (about two minutes).
	Connect time.Duration `yaml:"connect"`
	// Idle is how long a connection may carry nothing either way before the proxy closes it (FIN both ways).
	// Default 0s. 0 = no limit of ours.
	Idle time.Duration `yaml:"idle"`
	// Flush is how long bytes already received may wait for a receiver that takes none of them, once the other side has ended.
	// Default 30s. 0 = no limit of ours.
	Flush time.Duration `yaml:"flush"`
	// StopGrace is how long connections may go on after the request to stop; what is left then is reset.
	// Default 10s. 0 = no limit of ours: wait until the last one has ended, or for a second request to stop.
	StopGrace time.Duration `yaml:"stop_grace"`
	// Keepalive is how long a leg may be silent before the kernel probes its peer, in whole seconds (TCP_KEEPIDLE).
	// Probing refreshes the timers of NAT boxes and firewalls, and so hides them.
	// Default 0s. 0 = no keepalive.
	Keepalive time.Duration `yaml:"keepalive"`
	// User is how long sent bytes may stay unacknowledged before the kernel gives up on a leg (TCP_USER_TIMEOUT).
	// Default 0s. 0 = no limit of ours: the kernel's own retries decide (about 15 minutes).
	User time.Duration `yaml:"user"`
}

// Placement is where the proxy stands, seen from the connections it is to carry.
type Placement string

// Placements.
const (
	PlacementNone   Placement = "none"   // no rules of ours
	PlacementRouter Placement = "router" // on a host that forwards between clients and servers
	PlacementServer Placement = "server" // on the host of the service
	PlacementClient Placement = "client" // on the host of the programs that connect
	PlacementPod    Placement = "pod"    // in a network namespace shared with a program that serves, connects, or both
)

// Sysctls says what is done about kernel parameters that the packet rules need.
type Sysctls string

// What is done about them.
const (
	SysctlsShow Sysctls = "show"
	SysctlsSet  Sysctls = "set"
)

// Rules says how the kernel leads connections to the listeners of modes redirect and tproxy.
type Rules struct {
	// Placement is where the proxy stands: router (between clients and servers), server (on the host of the service), client
	// (on the host of the programs that connect), pod (in a network namespace shared with either), or none.
	// Default none. With none there are no packet rules to show or to apply.
	Placement Placement `yaml:"placement" one:"none|router|server|client|pod"`
	// Mark is SO_MARK of the sockets with which modes redirect and tproxy dial, by which packet rules know the proxy's own
	// connections and leave them alone.
	// Default 0x57. 0 = no mark; then rules.user must tell the proxy's connections from others.
	Mark uint32 `yaml:"mark"`
	// User is the user ID that the proxy runs as, it alone: packet rules leave alone what this user connects to. run --rules
	// started by root runs the proxy as this user.
	// Default 0. 0 = go by the mark alone.
	User int `yaml:"user"`
	// RouteMark is the mark of packets that are delivered on this host, whatever their destination; nobody else may use it.
	// Default 0x52. 0 = the default.
	RouteMark uint32 `yaml:"route_mark"`
	// RouteTable is the number of the routing table that delivers them, and the priority of the routing rules that lead
	// there; nobody else may use it.
	// Default 5752. 0 = the default.
	RouteTable int `yaml:"route_table"`
	// Sysctls is what rules apply and run --rules do about kernel parameters that the rules need: set them, to be put back
	// with the rules' removal, or only show them.
	// Default show.
	Sysctls Sysctls `yaml:"sysctls" one:"show|set"`
	// StateDir is the folder where it is noted what rules have been put, so that it can be taken away after a crash too. It
	// should outlive a restart of the proxy, and not one of the machine.
	// Default /run/whyreset. Empty is not allowed.
	StateDir string `yaml:"state_dir"`
}

// Resolve says how names of upstreams become addresses.
type Resolve struct {
	// Interval is the time between look-ups of an upstream's name; the last good answer is kept while a look-up fails.
	// Default 30s. 0 = look up only at start and after a failed connect.
	Interval time.Duration `yaml:"interval"`
}

// Switch turns an optional source on or off.
type Switch string

// Switch positions.
const (
	SwitchAuto Switch = "auto" // use it where the host allows it
	SwitchOn   Switch = "on"   // refuse to start without it
	SwitchOff  Switch = "off"  // do not use it
)

// Evidence says which sources of evidence are used beside the sockets.
type Evidence struct {
	// Packets is the watching of packet headers (needs CAP_NET_RAW): auto (where allowed), on (refuse to start without) or off.
	// Default auto.
	Packets Switch `yaml:"packets" one:"auto|on|off"`
	// Witness is the watching of the kernel's own reset events (needs CAP_BPF and CAP_PERFMON): auto, on or off as for packets.
	// Default auto.
	Witness Switch `yaml:"witness" one:"auto|on|off"`
}

// Limits says how many connections are carried at once.
type Limits struct {
	// Connections is the number of connections carried at once; more are refused.
	// Default 0. 0 = no limit of ours.
	Connections int `yaml:"connections"`
	// PerSource is the number of connections carried at once for one client address; more are refused.
	// Default 0. 0 = no limit of ours.
	PerSource int `yaml:"per_source"`
}

// Admin says where people and machines look in.
type Admin struct {
	// Address is where the admin listener listens, IP:PORT with a literal IP (IPv6 in brackets).
	// Default "". Empty = off.
	Address string `yaml:"address"`
}
