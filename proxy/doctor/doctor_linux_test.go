package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"whyreset/config"
	"whyreset/diagnose/cause"
	"whyreset/proxy"
	"whyreset/proxy/kernel"
)

// with is a checked configuration with these listeners.
func with(t *testing.T, listeners ...config.Listener) *config.Config {
	t.Helper()
	cfg := config.Defaults()
	cfg.Listeners = listeners
	cfg.Complete()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

var (
	forward  = config.Listener{Name: "a", Address: "127.0.0.1:15432", Upstream: "127.0.0.1:5432"}
	redirect = config.Listener{Name: "a", Mode: config.ModeRedirect, Address: ":15001"}
	asClient = config.Listener{Name: "a", Mode: config.ModeTProxy, Source: config.SourceClient, Address: ":15001"}
)

// on is an examiner of a host whose kernel parameters and control groups are these, by path below /proc/sys or by whole path.
func on(t *testing.T, files map[string]string, listeners ...config.Listener) *examiner {
	t.Helper()
	cfg := with(t, listeners...)
	return &examiner{Subject: Subject{Config: cfg}, needs: proxy.Needs(cfg), read: func(path string) (string, error) {
		for _, name := range []string{path, strings.TrimPrefix(path, "/proc/sys/")} {
			if text, ok := files[name]; ok {
				return text, nil
			}
		}
		return "", fs.ErrNotExist
	}}
}

func (e *examiner) of(id string) (all []Finding) {
	for _, f := range e.findings {
		if f.ID == id {
			all = append(all, f)
		}
	}
	return all
}

// What a host is like, and what is found because of it.
func TestHost(t *testing.T) {
	look := map[string]func(*examiner, context.Context){
		"network": (*examiner).network, "limits": (*examiner).limits, "privileges": (*examiner).privileges, "presence": (*examiner).presence,
	}
	for _, test := range []struct {
		name   string
		look   string
		files  map[string]string
		of     config.Listener
		change func(*examiner)
		id     string
		level  Level // empty: nothing is found
		what   string
	}{
		{name: "cookies always, tproxy", look: "network", files: map[string]string{"net/ipv4/tcp_syncookies": "2"}, of: asClient,
			id: "syncookies", level: Fail, what: "tcp_syncookies=2"},
		{name: "cookies always, forward", look: "network", files: map[string]string{"net/ipv4/tcp_syncookies": "2"}, of: forward,
			id: "syncookies", level: Warn, what: "tcp_syncookies=2"},
		{name: "cookies when needed", look: "network", files: map[string]string{"net/ipv4/tcp_syncookies": "1"}, of: asClient, id: "syncookies"},
		{name: "short queue, tproxy", look: "network", files: map[string]string{"net/core/somaxconn": "128", "net/ipv4/tcp_syncookies": "1"}, of: asClient,
			id: "somaxconn", level: Warn, what: "128 connections may wait"},
		{name: "short queue, forward", look: "network", files: map[string]string{"net/core/somaxconn": "128", "net/ipv4/tcp_syncookies": "1"}, of: forward,
			id: "somaxconn", level: Note, what: "128 connections may wait"},
		{name: "usual queue", look: "network", files: map[string]string{"net/core/somaxconn": "4096"}, of: asClient, id: "somaxconn"},
		{name: "reset on overflow", look: "network", files: map[string]string{"net/ipv4/tcp_abort_on_overflow": "1"}, of: forward,
			id: "abort_on_overflow", level: Warn, what: "tcp_abort_on_overflow is on"},
		{name: "port to dial from", look: "network", files: map[string]string{"net/ipv4/ip_local_port_range": "15000\t60999"}, of: forward,
			id: "port_in_range", level: Note, what: "port 15432"},
		{name: "reserved port", look: "network", files: map[string]string{"net/ipv4/ip_local_port_range": "15000\t60999",
			"net/ipv4/ip_local_reserved_ports": "9,15400-15500"}, of: forward, id: "port_in_range"},
		{name: "usual ports", look: "network", files: map[string]string{"net/ipv4/ip_local_port_range": "32768\t60999"}, of: forward, id: "port_in_range"},
		{name: "fewer ports than connections", look: "network", files: map[string]string{"net/ipv4/ip_local_port_range": "32768\t60999"}, of: forward,
			change: func(e *examiner) { e.Config.Limits.Connections = 30000 }, id: "local_ports", level: Warn, what: "28232 ports to dial from (net.ipv4.ip_local_port_range), and limits"},
		{name: "ports kept after the end", look: "network", files: map[string]string{"net/ipv4/ip_local_port_range": "32768\t60999", "net/ipv4/tcp_tw_reuse": "2"},
			of: forward, id: "local_ports", level: Note, what: "at most 470 short connections a second"},
		{name: "ports used again", look: "network", files: map[string]string{"net/ipv4/ip_local_port_range": "32768\t60999", "net/ipv4/tcp_tw_reuse": "1"},
			of: forward, id: "local_ports", level: OK, what: "28232 ports"},
		{name: "ports of others", look: "network", files: map[string]string{"net/ipv4/ip_local_port_range": "32768\t60999"}, of: asClient, id: "local_ports"},
		{name: "forwards nothing", look: "network", files: map[string]string{"net/ipv4/ip_forward": "0"}, of: redirect,
			id: "ip_forward", level: Note, what: "ip_forward=0"},
		{name: "no need to forward", look: "network", files: map[string]string{"net/ipv4/ip_forward": "0"}, of: forward, id: "ip_forward"},
		{name: "tracker nearly full", look: "network", files: map[string]string{"net/netfilter/nf_conntrack_count": "900", "net/netfilter/nf_conntrack_max": "1000"},
			of: forward, id: "conntrack", level: Warn, what: "900 of 1000"},
		{name: "tracker half full", look: "network", files: map[string]string{"net/netfilter/nf_conntrack_count": "500", "net/netfilter/nf_conntrack_max": "1000"},
			of: forward, id: "conntrack"},
		{name: "forgetful tracker", look: "network", files: map[string]string{"net/netfilter/nf_conntrack_count": "5", "net/netfilter/nf_conntrack_max": "1000",
			"net/netfilter/nf_conntrack_tcp_timeout_established": "600"}, of: forward, id: "conntrack_established", level: Note, what: "silent for 600 s"},

		{name: "few pipes", look: "limits", files: map[string]string{"fs/pipe-user-pages-soft": "1024"}, of: forward, id: "pipes", level: Note, what: "4 pipes"},
		{name: "more connections than files", look: "limits", of: forward, change: func(e *examiner) { e.Config.Limits.Connections = 1 << 30 },
			id: "files", level: Warn, what: "limits.connections is 1073741824"},
		{name: "little memory", look: "limits", files: map[string]string{"/proc/self/cgroup": "0::/a/b", "/sys/fs/cgroup/a/memory.max": "33554432",
			"/sys/fs/cgroup/a/b/memory.max": "max"}, of: forward, id: "memory", level: Warn, what: "limited to 32 MiB (/sys/fs/cgroup/a/memory.max)"},
		{name: "little memory, version 1", look: "limits", files: map[string]string{"/proc/self/cgroup": "9:name=systemd:/x\n4:memory:/a",
			"/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "33554432"}, of: forward, id: "memory", level: Warn, what: "limited to 32 MiB"},
		{name: "enough memory", look: "limits", files: map[string]string{"/proc/self/cgroup": "0::/", "/sys/fs/cgroup/memory.max": "1073741824"}, of: forward, id: "memory"},
		{name: "half a processor", look: "limits", files: map[string]string{"/proc/self/cgroup": "0::/a", "/sys/fs/cgroup/a/cpu.max": "50000 100000"}, of: forward,
			id: "cpu", level: Note, what: "50 of 100 ms"},
		{name: "a whole processor", look: "limits", files: map[string]string{"/proc/self/cgroup": "0::/a", "/sys/fs/cgroup/a/cpu.max": "max 100000"}, of: forward, id: "cpu"},

		{name: "tproxy without a right", look: "privileges", of: asClient, id: "need", level: Fail, what: "lacks CAP_NET_RAW or CAP_NET_ADMIN for IP_TRANSPARENT"},
		{name: "tproxy with the right", look: "privileges", of: asClient, change: func(e *examiner) { e.held = kernel.NetRaw },
			id: "need", level: OK, what: "has CAP_NET_RAW for IP_TRANSPARENT"},
		{name: "redirect without a right", look: "privileges", of: redirect, id: "need", level: Note, what: "for SO_MARK 0x57"},
		{name: "forward without a right", look: "privileges", of: forward, id: "need"},

		{name: "own address", look: "presence", of: forward, id: "own_address", level: Note, what: "this host's address (source own): a"},
		{name: "the client's address", look: "presence", of: asClient, id: "own_address"},
		{name: "idle timeout", look: "presence", of: forward, change: func(e *examiner) { e.Config.Timeouts.Idle = 60e9 }, id: "own_timer", level: Note, what: "timeouts.idle is 1m0s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := on(t, test.files, test.of)
			if test.change != nil {
				test.change(e)
			}
			look[test.look](e, context.Background())
			got := e.of(test.id)
			if test.level == "" {
				if len(got) != 0 {
					t.Errorf("got %+v, want nothing", got)
				}
				return
			}
			if len(got) == 0 || got[0].Level != test.level || !strings.Contains(got[0].What, test.what) {
				t.Errorf("got %+v, want %s %q", got, test.level, test.what)
			}
		})
	}
}

// Each finding that matters says why, and nothing is told that does not end in a word.
func TestExamine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	service, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	dir := t.TempDir()
	cfg := with(t,
		config.Listener{Name: "taken", Address: taken.Addr().String(), Upstream: service.Addr().String()},
		config.Listener{Name: "free", Address: "127.0.0.1:0", Upstream: "127.0.0.1:1"},
		config.Listener{Name: "loop", Mode: config.ModeRedirect, Address: "127.0.0.1:15001"})
	cfg.Log.Output = filepath.Join(dir, "no", "such", "log")
	all := Examine(t.Context(), Subject{Config: cfg, Connect: true})
	if got := Worst(all); got != Fail {
		t.Errorf("the worst is %s, want fail", got)
	}
	form := regexp.MustCompile(`^[a-z_]+$`)
	for _, f := range all {
		if !form.MatchString(f.ID) || f.What == "" || f.Level != OK && f.Why == "" || f.Level == Fail && f.Do == "" {
			t.Errorf("%+v: a finding has an ID, says what is, and when it matters why, and when it breaks something what to do", f)
		}
		if strings.HasSuffix(f.What+f.Why+f.Do, ".") || strings.Contains(f.What+f.Why+f.Do, "%!") {
			t.Errorf("%+v: a full stop or a wrong format", f)
		}
	}
	for _, want := range []Finding{
		{ID: "address", Listener: "taken", Level: Fail, What: "address already in use", Do: fmt.Sprintf("(process %d)", os.Getpid())},
		{ID: "upstream_connect", Listener: "taken", Level: OK, What: "takes connections"},
		{ID: "address", Listener: "free", Level: OK, What: "can listen on 127.0.0.1:0"},
		{ID: "upstream_connect", Listener: "free", Level: Fail, What: "connection refused"},
		{ID: "loopback", Listener: "loop", Level: Warn, What: "loopback interface alone"},
		{ID: "rules", Level: Note, What: "rules.placement is none"},
		{ID: "log", Level: Fail, What: "no such file or directory"},
	} {
		if !found(all, want) {
			t.Errorf("no %+v in %+v", want, all)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "no")); !os.IsNotExist(err) {
		t.Errorf("the folder of the log is there: %v", err)
	}
}

func found(all []Finding, want Finding) bool {
	for _, f := range all {
		if f.ID == want.ID && f.Listener == want.Listener && f.Level == want.Level && strings.Contains(f.What, want.What) && strings.Contains(f.Do, want.Do) {
			return true
		}
	}
	return false
}

// A log that is there may be appended to and is not touched; one that is not is not made.
func TestLogIsNotTouched(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{there, filepath.Join(dir, "new")} {
		if err := mayAppend(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := mayAppend(dir); err == nil {
		t.Error("a folder may be appended to")
	}
	files, _ := os.ReadDir(dir)
	if text, _ := os.ReadFile(there); string(text) != "x\n" || len(files) != 1 {
		t.Errorf("got %q and %d files, want what was there", text, len(files))
	}
}

// What root reads only by CAP_DAC_OVERRIDE it cannot read again once that is given up.
func TestReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "whyreset.yaml")
	if err := os.WriteFile(file, nil, 0o400); err != nil {
		t.Fatal(err)
	}
	if !ownerMay(file, 0o4) || ownerMay(file, 0o2) {
		t.Errorf("of a file of mode 0400 the owner may read: %v, write: %v", ownerMay(file, 0o4), ownerMay(file, 0o2))
	}
	if os.Geteuid() != 0 {
		t.Skip("the rest needs root, to whom alone it happens")
	}
	look := func() []Finding {
		e := on(t, nil, forward)
		e.ConfigFile, e.held = file, kernel.DacOverride
		e.Config.Log.Output = file
		e.reload()
		return e.of("reload")
	}
	if got := look(); len(got) != 0 {
		t.Errorf("of root's own file: %+v, want nothing", got) // the log file's folder is root's, so a new one can be made
	}
	if err := os.Chown(file, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Dir(file), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if got := look(); len(got) != 2 || got[0].Level != Warn || !strings.Contains(got[0].What, "read "+file) || !strings.Contains(got[1].What, "write "+file) {
		t.Errorf("of another user's file: %+v, want warnings about reading and writing it", got)
	}
}

// later are causes whose rules come with the source that shows them.
var later = []string{"injected_reset", "ignored_reset", "peer_socket_destroyed", "peer_out_of_memory"}

// The causes that texts speak of are in the catalogue.
func TestCausesExist(t *testing.T) {
	texts := withoutPackets + " " + withoutWitness
	e := on(t, map[string]string{"net/netfilter/nf_conntrack_count": "9", "net/netfilter/nf_conntrack_max": "9"}, forward)
	e.network(t.Context())
	for _, f := range e.findings {
		texts += " " + f.Why
	}
	named := regexp.MustCompile(`\b[a-z]+(_[a-z]+)+\b`).FindAllString(texts, -1)
	if len(named) < 9 {
		t.Fatalf("got %q, want the causes", named)
	}
	for _, id := range named {
		if _, ok := cause.ByID(id); !ok && !slices.Contains(later, id) {
			t.Errorf("%s is no cause", id)
		}
	}
}
