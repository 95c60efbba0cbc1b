package main

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// contestant is a running relay from an address of its own to the backend.
type contestant struct {
	name, version, address string
	pid                    int  // also of its process group
	cramped                bool // it may not have as many files open as the idle connections would take
}

// Where Debian keeps them.
const (
	haproxy     = "/usr/sbin/haproxy"
	nginx       = "/usr/sbin/nginx"
	nginxModule = "/usr/lib/nginx/modules/ngx_stream_module.so"
)

// An entry is who may compete, and what that takes.
type entry struct {
	name, program  string
	files          []string // that must be there
	capabilities   []int    // that we must have, by their number
	log            bool     // HAProxy's
	transparent    bool     // can stand where clients do not know of it, and dial with their addresses
	raises         bool     // it raises its own limit of open files, if it may
	pipes          int      // that each connection holds, two files each
	packet, kernel string   // whyreset's sources of evidence besides sockets
	built          string   // a whyreset that is there already; empty: it is built from this tree
}

// Numbers of capabilities, from linux/capability.h.
const (
	capNetRaw      = 13
	capSysResource = 24
	capPerfmon     = 38
	capBPF         = 39
)

var (
	entries = []entry{
		{name: "haproxy", program: haproxy, transparent: true, files: []string{haproxy}},
		{name: "haproxy-log", program: haproxy, transparent: true, files: []string{haproxy}, log: true},
		{name: "nginx", program: nginx, files: []string{nginx, nginxModule}},
		{name: "io.copy", pipes: 2, raises: true},
		{name: "whyreset-sockets", program: "whyreset", transparent: true, packet: "off", kernel: "off"},
		{name: "whyreset-packets", program: "whyreset", transparent: true, packet: "on", kernel: "off", capabilities: []int{capNetRaw}},
		{name: "whyreset-witness", program: "whyreset", transparent: true, packet: "off", kernel: "on", capabilities: []int{capPerfmon, capBPF}},
		{name: "whyreset-both", program: "whyreset", transparent: true, packet: "on", kernel: "on", capabilities: []int{capNetRaw, capPerfmon, capBPF}},
	}
	usual   = []string{"haproxy", "haproxy-log", "nginx", "io.copy", "whyreset-sockets", "whyreset-packets"}
	unusual = []string{"whyreset-witness", "whyreset-both"}
)

// entriesFor are the entries named, in that order, but for those that cannot compete here; left says why not. With another
// whyreset beside, each of whyreset is followed by the same of that one.
func entriesFor(names []string, beside string, transparent bool) (found []entry, left []string, err error) {
	if len(names) == 0 {
		names = usual
	}
	for _, name := range names {
		i := slices.IndexFunc(entries, func(e entry) bool { return e.name == name })
		if i < 0 {
			return nil, nil, fmt.Errorf("no contestant is called %s; there are %s", name, strings.Join(slices.Concat(usual, unusual), ", "))
		}
		if why := entries[i].missing(); why != "" {
			left = append(left, name+": "+why)
			continue
		}
		if transparent && !entries[i].transparent {
			left = append(left, name+": it does not dial with its clients' addresses, or only as root")
			continue
		}
		found = append(found, entries[i])
		if beside != "" && entries[i].program == "whyreset" {
			other := entries[i]
			other.name, other.built = strings.Replace(name, "whyreset", "beside", 1), beside
			found = append(found, other)
		}
	}
	return found, left, nil
}

// missing says what is not there, and is empty if all is.
func (e *entry) missing() string {
	for _, file := range e.files {
		if _, err := os.Stat(file); err != nil {
			return err.Error() + " (Debian's packages are haproxy, nginx and libnginx-mod-stream)"
		}
	}
	have := capabilities()
	for _, c := range e.capabilities {
		if have>>c&1 == 0 {
			return fmt.Sprintf("capability %d is missing: run this as root", c)
		}
	}
	return ""
}

// filesFor is how many files it may have to have open with so many idle connections: those, and others that have ended a
// moment ago.
func (e *entry) filesFor(idle int) int { return (2+2*e.pipes)*idle + 3000 }

// cramped says why the entry cannot hold so many idle connections; empty: it can.
func (e *entry) cramped(idle int) string {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err.Error()
	}
	most, need := uint64(limit.Max), uint64(e.filesFor(idle))
	if e.raises && capabilities()>>capSysResource&1 == 1 {
		most = max(most, 1<<20) // fs.nr_open, as it comes
	}
	if need <= most {
		return ""
	}
	return fmt.Sprintf("it needs %d open files and may have %d: raise the hard limit (ulimit -Hn), or measure with fewer -idle connections", need, most)
}

// capabilities are the effective ones of this process, and so of its children.
func capabilities() (set uint64) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), "\nCapEff:")
	line, _, _ := strings.Cut(after, "\n")
	set, _ = strconv.ParseUint(strings.TrimSpace(line), 16, 64) // not to be read: none
	return set
}

// The others' configuration: every core, splice or copy as each does best.
var (
	//go:embed haproxy.cfg
	haproxyConfig string
	//go:embed nginx.conf
	nginxConfig string
)

// assemble starts the backend and the contestants, and returns when each carries bytes.
func (c *crew) assemble(ctx context.Context, entries []entry) error {
	addresses := []string{"127.0.0.1:0"}
	if c.transparent() {
		addresses = nil
		for i := range entries {
			addresses = append(addresses, c.aim(i))
		}
	}
	server, err := c.startRole(ctx, c.servers, "backend "+strings.Join(addresses, " "))
	if err != nil {
		return err
	}
	backend, err := server.line()
	if err != nil {
		return err
	}
	c.ends = []int{server.pid}
	for i, e := range entries {
		s := seat{backend: backend, source: "#"}
		if c.transparent() {
			s = c.transparentSeat(i)
		} else if s.listen, err = freeAddress(); err != nil {
			return err
		} else {
			s.dial = s.listen
		}
		if err := c.enter(ctx, &e, s); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return nil
}

// A seat is what a contestant is told of its place.
type seat struct {
	dial, listen, backend string // addresses: what clients dial, where it listens, where it goes on to
	bind, source          string // what HAProxy is told besides, of its clients' side and of its servers'
}

// enter starts one contestant.
func (c *crew) enter(ctx context.Context, e *entry, s seat) error {
	var err error
	files := e.filesFor(c.idle)
	if e.cramped(c.idle) != "" {
		files = e.filesFor(0)
	}
	config, log := filepath.Join(c.dir, e.name+".conf"), ""
	if e.log {
		sink, err := c.startRole(ctx, c.relays, "sink "+filepath.Join(c.dir, e.name+" records"))
		if err != nil {
			return err
		}
		to, err := sink.line()
		if err != nil {
			return err
		}
		c.ends = append(c.ends, sink.pid)
		log = "log " + to + " local0\n    option tcplog"
	}
	var text string
	switch e.program {
	case haproxy:
		text = haproxyConfig
	case nginx:
		text = nginxConfig
	}
	text = strings.NewReplacer("CORES", strconv.Itoa(runtime.NumCPU()), "LISTEN", s.listen+s.bind, "BACKEND", s.backend, "SOURCE", s.source,
		"MODULE", nginxModule, "CONNECTIONS", strconv.Itoa(c.idle+1000), "FILES", strconv.Itoa(files), "LOG", log).Replace(text)
	if e.program == "whyreset" && c.transparent() {
		text = fmt.Sprintf(`listeners: [{name: all, mode: tproxy, address: %q, source: client-ip}]`, s.listen)
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	var m *member
	version := []byte(runtime.Version())
	switch e.program {
	case haproxy:
		m, err = c.start(ctx, c.relays, e.name, nil, haproxy, "-db", "-f", config)
		version = versionOf(haproxy, "-v")
	case nginx:
		m, err = c.start(ctx, c.relays, e.name, nil, nginx, "-p", c.dir, "-e", "stderr", "-c", config)
		version = versionOf(nginx, "-v")
	case "whyreset": // as it comes, not as this machine's file has it
		var program string
		if program = e.built; program == "" {
			if program, err = c.build(ctx); err != nil {
				return err
			}
		}
		arguments := []string{"run", "--config", config}
		if !c.transparent() {
			arguments = append(arguments, "--forward", s.listen+"="+s.backend)
		}
		m, err = c.start(ctx, c.relays, e.name, nil, program, append(arguments,
			"--timeouts.stop_grace", "100ms", "--log.output", filepath.Join(c.dir, e.name+" records"), "--log.format", "json",
			"--log.sample_clean", "1", "--evidence.packets", e.packet, "--evidence.witness", e.kernel)...)
		version = versionOf(program, "version")
	default:
		m, err = c.startRole(ctx, c.relays, fmt.Sprintf("copy %s %s %d", s.listen, s.backend, files))
	}
	if err != nil {
		return err
	}
	if err := c.await(ctx, m, s.dial); err != nil {
		return m.fault(err)
	}
	c.contestants = append(c.contestants, contestant{e.name, string(version), s.dial, m.pid, c.idle > 0 && e.cramped(c.idle) != ""})
	return nil
}

// build makes whyreset once, and returns its path.
func (c *crew) build(ctx context.Context) (string, error) {
	program := filepath.Join(c.dir, "whyreset")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "whyreset/cmd/whyreset")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return program, nil
}

func versionOf(program, ask string) []byte {
	said, _ := exec.Command(program, ask).CombinedOutput()
	return regexp.MustCompile(`development build|\d+\.\d+\.\d+[-+~.\w]*`).Find(said)
}

// freeAddress is one that nobody listens on now. Relays cannot be told to take any.
func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// await returns when a request through the address is answered.
func (c *crew) await(ctx context.Context, m *member, address string) error {
	for end := time.Now().Add(patience); ; {
		conn, err := c.dial(address, end)
		if err == nil {
			err = ask(conn)
			conn.Close()
		}
		if err == nil || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-m.gone:
			return fmt.Errorf("it ended before anybody could connect: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
