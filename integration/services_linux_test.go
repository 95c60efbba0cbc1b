package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"whyreset/config"
	"whyreset/diagnose/cause"
	"whyreset/diagnose/record"
	"whyreset/proxy"
)

// service is a real server, started for one test.
type service struct {
	t       *testing.T
	dir     string
	address netip.AddrPort
	stop    syscall.Signal // that ends it at once
}

// need finds a server's program, or skips. Debian keeps some where PATH does not look.
func need(t *testing.T, program string, dirs ...string) string {
	t.Helper()
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	for _, dir := range append(dirs, "/usr/sbin", "/usr/local/sbin") {
		if found, _ := filepath.Glob(filepath.Join(dir, program)); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	t.Skipf("%s is not installed", program)
	return ""
}

func newService(t *testing.T) *service {
	t.Helper()
	return &service{t: t, dir: t.TempDir(), address: freePort(t), stop: syscall.SIGINT}
}

// freePort is one that nobody listens on now. The servers cannot be told to take any.
func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// start runs the server until the test is over, and returns when it listens.
func (s *service) start(cmd *exec.Cmd) {
	s.t.Helper()
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir = &said, &said, s.dir
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	s.t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, s.stop)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", s.address.String()); err == nil {
			c.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			s.t.Fatalf("%s ended: %v\n%s", filepath.Base(cmd.Path), err, said.String())
		default:
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s does not listen on %s\n%s", filepath.Base(cmd.Path), s.address, said.String())
		}
	}
}

func (s *service) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// through is a proxy in front of a server, and its records.
type through struct {
	t       *testing.T
	address netip.AddrPort
	server  *proxy.Server
	records chan *record.Connection
}

func (p *through) Connection(c *record.Connection) { p.records <- c }
func (p *through) Started(*record.Connection)      {}
func (p *through) Notice(record.Notice)            {}

func proxyTo(t *testing.T, upstream netip.AddrPort) *through {
	t.Helper()
	p := &through{t: t, records: make(chan *record.Connection, 64)}
	cfg := config.Defaults()
	cfg.Listeners = []config.Listener{{Name: "test", Mode: config.ModeForward, Address: "127.0.0.1:0", Upstream: upstream.String(), Source: config.SourceOwn}}
	var err error
	if p.server, err = proxy.New(cfg, p); err != nil {
		t.Fatal(err)
	}
	p.server.Start()
	p.address = p.server.Addresses()["test"]
	t.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		p.server.Stop(now)
	})
	return p
}

func (p *through) dial() net.Conn {
	p.t.Helper()
	c, err := net.Dial("tcp", p.address.String())
	if err != nil {
		p.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	p.t.Cleanup(func() { c.Close() })
	return c
}

// record is that of the next connection that ended.
func (p *through) record() *record.Connection {
	p.t.Helper()
	select {
	case c := <-p.records:
		return c
	case <-time.After(20 * time.Second):
		p.t.Fatal("no record came")
		return nil
	}
}

// want says what the verdict on a real server's ending must be. A confidence of zero may vary.
type want struct {
	cause string
	side  string
	sure  cause.Strength
}

// hold compares a record with what is known to be true, and with the one that was kept.
func (p *through) hold(w want) {
	p.t.Helper()
	c := p.record()
	v := c.Verdict
	right := v.Cause == w.cause
	for _, id := range v.Alternatives {
		right = right || id == w.cause && v.Confidence < cause.Conclusive
	}
	if !right || string(v.Side) != w.side {
		for _, o := range c.Evidence.Observations {
			p.t.Logf("%12v %-10v %T %+v", o.At, o.Leg, o.What, o.What)
		}
		p.t.Errorf("got %s on side %s or one of %q, want %s on side %s: %s", v.Cause, v.Side, v.Alternatives, w.cause, w.side, v.Sentence)
	}
	got := masked(p.t, c, w.sure == 0)
	path := filepath.Join("testdata", "services", strings.ReplaceAll(p.t.Name(), "/", "-")+".json")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path)
	if err != nil {
		p.t.Fatal(err)
	}
	if d := cmp.Diff(string(kept), string(got)); d != "" {
		p.t.Errorf("the record is not the one that was kept; -update keeps it\n(-kept +got)\n%s", d)
	}
}

var (
	addresses = regexp.MustCompile(`\b\d+\.\d+\.\d+\.\d+(:\d+)?`)
	amounts   = regexp.MustCompile(`\b\d+(\.\d+)?( ?(µs|ms|s|bytes|byte|kB|MB))?\b`)
	times     = regexp.MustCompile(`@[0-9.]+`)
)

// masked is the part of a record that is the same in each run, with addresses and amounts left out.
func masked(t *testing.T, c *record.Connection, varies bool) []byte {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(record.Append(nil, c), &all); err != nil {
		t.Fatal(err)
	}
	event, why := all["event"].(map[string]any), all["whyreset"].(map[string]any)
	verdict := why["verdict"].(map[string]any)
	kept := map[string]any{
		"log.level": all["log.level"], "event.action": event["action"],
		"side": verdict["side"], "origin": verdict["origin"], "listener": why["listener"],
	}
	if !varies {
		kept["event.code"] = event["code"]
		kept["impact"] = verdict["impact"] // not the phase: a timer of one second is at the border of two
		kept["message"] = amounts.ReplaceAllString(addresses.ReplaceAllString(all["message"].(string), "ADDRESS"), "N")
		kept["confidence"] = verdict["confidence"]
		// Whether data that came together with an end was read before it or only seen is a matter of microseconds.
		kept["events"] = strings.ReplaceAll(times.ReplaceAllString(fmt.Sprint(why["events"]), ""), ":data/poll", ":data")
		kept["error"] = all["error"]
	}
	text, err := json.MarshalIndent(kept, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

func TestNginx(t *testing.T) {
	t.Parallel()
	nginx := need(t, "nginx")
	s := newService(t)
	s.start(s.unprivileged(nginx, "-p", s.dir, "-e", "stderr", "-c", s.write("nginx.conf", `
daemon off; master_process off; error_log stderr; pid nginx.pid;
events { worker_connections 64; }
http {
	access_log off; client_body_temp_path body; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
	server {
		listen `+s.address.String()+`;
		keepalive_timeout 1; reset_timedout_connection on; client_header_timeout 1;
		location / { return 200 "hello\n"; }
	}
	server {
		listen `+s.address.String()+`;
		server_name plain;
		keepalive_timeout 0; client_max_body_size 1k; lingering_time 1;
		location /drop { return 444; }
		location /upload { proxy_pass http://127.0.0.1:1; }
	}
}`)))
	t.Run("keep-alive timeout", func(t *testing.T) {
		p := proxyTo(t, s.address)
		c := p.dial()
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if text, err := io.ReadAll(c); err != nil || !bytes.HasSuffix(text, []byte("hello\n")) {
			t.Errorf("got %q and %v, want hello and the end", text, err)
		}
		c.Close()
		p.hold(want{"idle_close", "upstream", cause.Conclusive})
	})
	t.Run("reset after header timeout", func(t *testing.T) {
		p := proxyTo(t, s.address)
		c := p.dial()
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: ")
		if _, err := io.ReadAll(c); !isReset(err) {
			t.Errorf("got %v, want a reset", err)
		}
		p.hold(want{"app_abort", "upstream", cause.Possible})
	})
	t.Run("444", func(t *testing.T) {
		p := proxyTo(t, s.address)
		c := p.dial()
		fmt.Fprintf(c, "GET /drop HTTP/1.1\r\nHost: plain\r\n\r\n")
		if text, err := io.ReadAll(c); err != nil || len(text) > 0 {
			t.Errorf("got %q and %v, want the end", text, err)
		}
		c.Close()
		p.hold(want{"closed_unanswered", "upstream", cause.Likely})
	})
	t.Run("413 before the upload was read", func(t *testing.T) {
		p := proxyTo(t, s.address)
		c := p.dial()
		fmt.Fprintf(c, "POST /upload HTTP/1.1\r\nHost: plain\r\nContent-Length: %d\r\n\r\n", int64(1)<<40)
		// nginx answers, goes on reading for lingering_time and then closes with the rest unread.
		part := make([]byte, 256<<10)
		for {
			if _, err := c.Write(part); err != nil {
				break
			}
		}
		p.hold(want{"app_close_unread", "upstream", 0})
	})
}

func TestHAProxy(t *testing.T) {
	t.Parallel()
	haproxy := need(t, "haproxy")
	s := newService(t)
	s.start(s.unprivileged(haproxy, "-db", "-f", s.write("haproxy.cfg", `
defaults
	mode http
	timeout connect 1s
	timeout server 1s
	timeout client 10s
	timeout http-request 1s
	timeout http-keep-alive 1s
frontend f
	bind `+s.address.String()+`
	http-request reject if { path /reject }
	http-request return status 200 content-type text/plain string hello
`)))
	t.Run("keep-alive timeout", func(t *testing.T) {
		p := proxyTo(t, s.address)
		c := p.dial()
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if text, err := io.ReadAll(c); err != nil || !bytes.HasSuffix(text, []byte("hello")) {
			t.Errorf("got %q and %v, want hello and the end", text, err)
		}
		c.Close()
		p.hold(want{"idle_close", "upstream", cause.Conclusive})
	})
	t.Run("reject", func(t *testing.T) {
		p := proxyTo(t, s.address)
		c := p.dial()
		fmt.Fprintf(c, "GET /reject HTTP/1.1\r\nHost: x\r\n\r\n")
		if text, err := io.ReadAll(c); err != nil || len(text) > 0 {
			t.Errorf("got %q and %v, want the end", text, err)
		}
		c.Close()
		p.hold(want{"closed_unanswered", "upstream", cause.Likely})
	})
	t.Run("408 after http-request timeout", func(t *testing.T) {
		p := proxyTo(t, s.address)
		c := p.dial()
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: ")
		if text, err := io.ReadAll(c); err != nil || !bytes.HasPrefix(text, []byte("HTTP/1.1 408")) {
			t.Errorf("got %q and %v, want 408 and the end", text, err)
		}
		c.Close()
		p.hold(want{"clean_close", "upstream", 0})
	})
}

func TestPythonHTTPServer(t *testing.T) {
	t.Parallel()
	python := need(t, "python3")
	s := newService(t)
	s.write("hello.txt", "hello\n")
	s.start(s.unprivileged(python, "-m", "http.server", "--bind", s.address.Addr().String(), strconv.Itoa(int(s.address.Port()))))
	t.Run("closes behind its answer", func(t *testing.T) {
		p := proxyTo(t, s.address)
		c := p.dial()
		fmt.Fprintf(c, "GET /hello.txt HTTP/1.0\r\n\r\n")
		if text, err := io.ReadAll(c); err != nil || !bytes.HasSuffix(text, []byte("hello\n")) {
			t.Errorf("got %q and %v, want hello and the end", text, err)
		}
		c.Close()
		p.hold(want{"clean_close", "upstream", cause.Conclusive})
	})
	t.Run("501 with the upload unread", func(t *testing.T) {
		p := proxyTo(t, s.address)
		c := p.dial()
		fmt.Fprintf(c, "POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n", int64(1)<<40)
		part := make([]byte, 256<<10)
		for {
			if _, err := c.Write(part); err != nil {
				break
			}
		}
		p.hold(want{"app_close_unread", "upstream", 0})
	})
}

func isReset(err error) bool {
	return err != nil && strings.Contains(err.Error(), syscall.ECONNRESET.Error())
}

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	bin := filepath.Dir(need(t, "postgres", "/usr/lib/postgresql/*/bin"))
	psql := need(t, "psql", bin)
	s := newService(t)
	s.stop = syscall.SIGQUIT // SIGINT waits for a restart after a crash, of which there is one here
	initdb := s.unprivileged(filepath.Join(bin, "initdb"), "-D", filepath.Join(s.dir, "data"), "-A", "trust", "-U", "lab", "--no-sync", "--no-locale")
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.start(s.unprivileged(filepath.Join(bin, "postgres"), "-D", filepath.Join(s.dir, "data"), "-F", "-k", s.dir,
		"-c", "listen_addresses=127.0.0.1", "-p", strconv.Itoa(int(s.address.Port())), "-c", "restart_after_crash=on"))
	query := func(at netip.AddrPort, sql string) *exec.Cmd {
		cmd := exec.Command(psql, "-X", "-At", "-h", at.Addr().String(), "-p", strconv.Itoa(int(at.Port())), "-U", "lab", "-d", "postgres", "-c", sql)
		cmd.Env = append(os.Environ(), "PGSSLMODE=disable", "PGGSSENCMODE=disable", "PGCONNECT_TIMEOUT=10")
		return cmd
	}
	ask := func(t *testing.T, sql string) string {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			out, err := query(s.address, sql).Output()
			if text := strings.TrimSpace(string(out)); err == nil && text != "" {
				return text
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %v", sql, err)
			}
		}
	}
	for _, test := range []struct {
		name string
		end  func(t *testing.T, backend string)
		want want
	}{
		{"pg_terminate_backend", func(t *testing.T, pid string) { ask(t, "select pg_terminate_backend("+pid+")") }, want{"clean_close", "upstream", cause.Conclusive}},
		{"kill -9 of the backend", func(t *testing.T, pid string) {
			n, _ := strconv.Atoi(pid)
			if err := syscall.Kill(n, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}, want{"closed_unanswered", "upstream", cause.Likely}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := proxyTo(t, s.address)
			session := query(p.address, "select pg_sleep(30)")
			if err := session.Start(); err != nil {
				t.Fatal(err)
			}
			test.end(t, ask(t, "select pid from pg_stat_activity where query like 'select pg_sleep%'"))
			session.Wait()
			p.hold(test.want)
		})
	}
}

// unprivileged is a command that does not run as root, which PostgreSQL refuses and for which nginx would give its files
// away: as another user of a user namespace of its own, where this one is the only user there is.
func (s *service) unprivileged(path string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	cmd.Dir = s.dir
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: 0, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: 0, Size: 1}},
		}
	}
	return cmd
}

func TestRedis(t *testing.T) {
	t.Parallel()
	redis := need(t, "redis-server")
	s := newService(t)
	s.start(exec.Command(redis, "--port", strconv.Itoa(int(s.address.Port())), "--bind", "127.0.0.1", "--save", "", "--dir", s.dir,
		"--client-output-buffer-limit", "normal 1mb 0 0"))
	t.Run("output buffer limit", func(t *testing.T) {
		p := proxyTo(t, s.address)
		c := p.dial()
		value := strings.Repeat("x", 256<<10)
		fmt.Fprintf(c, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\n", len(value), value)
		ok := make([]byte, 5)
		if _, err := io.ReadFull(c, ok); err != nil || string(ok) != "+OK\r\n" {
			t.Fatalf("got %q and %v, want OK", ok, err)
		}
		const asked = 400 // 100 MB of answers, more than all the buffers on the way hold
		fmt.Fprint(c, strings.Repeat("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", asked))
		time.Sleep(300 * time.Millisecond) // slow: the server is to give up on it
		n, err := io.Copy(io.Discard, c)
		if n >= int64(asked*len(value)) || err != nil {
			t.Errorf("got %d bytes and %v, want a part and the end", n, err)
		}
		c.Close()
		p.hold(want{"closed_unanswered", "upstream", cause.Likely})
	})
}
