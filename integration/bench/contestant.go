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
	"strconv"
	"strings"
	"time"
)

// contestant is a running relay from an address of its own to the backend.
type contestant struct {
	name, version, address string
	pid                    int
}

// Where Debian keeps them.
const (
	haproxy     = "/usr/sbin/haproxy"
	nginx       = "/usr/sbin/nginx"
	nginxModule = "/usr/lib/nginx/modules/ngx_stream_module.so"
)

// missing says what is not there, and is empty if all is.
func missing(sources bool) string {
	needed := []string{"/proc/self/schedstat", haproxy, nginx, nginxModule}
	if sources {
		needed = needed[:1]
	}
	for _, file := range needed {
		if _, err := os.Stat(file); err != nil {
			return err.Error()
		}
	}
	return ""
}

const reference = "HAProxy" // whom relays are compared with

// The others' configuration: every core, splice or copy as each does best, no log.
var (
	//go:embed haproxy.cfg
	haproxyConfig string
	//go:embed nginx.conf
	nginxConfig string
)

// assemble starts the backend and the contestants, and returns when each carries bytes.
func (c *crew) assemble(ctx context.Context) (all []contestant, err error) {
	server, err := c.startRole(ctx, "backend")
	if err != nil {
		return nil, err
	}
	backend, err := server.line()
	if err != nil {
		return nil, err
	}
	whyreset := filepath.Join(c.dir, "whyreset")
	build := exec.CommandContext(ctx, "go", "build", "-o", whyreset, "whyreset/cmd/whyreset")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	c.backend = server.pid
	type entry struct {
		name, program, ask, config string
		flags                      []string
	}
	entries := []entry{
		{reference, haproxy, "-v", haproxyConfig, nil},
		{"nginx", nginx, "-v", nginxConfig, nil},
		{"whyreset", whyreset, "version", "", nil}, // as it comes, not as this machine's file has it
	}
	if c.sources {
		entries = nil
		for _, s := range []struct{ name, packets, witness string }{
			{"sockets only", "off", "off"}, {"with packets", "on", "off"}, {"with witness", "off", "on"}, {"with both", "on", "on"},
		} {
			entries = append(entries, entry{s.name, whyreset, "version", "", []string{"--evidence.packets", s.packets, "--evidence.witness", s.witness}})
		}
	}
	for _, this := range entries {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		file := filepath.Join(c.dir, this.name+".yaml")
		config := strings.NewReplacer("CORES", strconv.Itoa(runtime.NumCPU()), "LISTEN", address, "BACKEND", backend, "MODULE", nginxModule).Replace(this.config)
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			return nil, err
		}
		m, err := c.start(ctx, this.name, nil, this.program, map[string][]string{
			haproxy: {"-db", "-f", file},
			nginx:   {"-p", c.dir, "-e", "stderr", "-c", file},
			whyreset: append([]string{"run", "--config", file, "--forward", address + "=" + backend, "--timeouts.stop_grace", "100ms",
				"--log.output", filepath.Join(c.dir, this.name+" records"), "--log.format", "json", "--log.sample_clean", "1"}, this.flags...),
		}[this.program]...)
		if err != nil {
			return nil, err
		}
		if err := m.await(ctx, address); err != nil {
			return nil, m.fault(fmt.Errorf("%s: %w", this.name, err))
		}
		said, _ := exec.CommandContext(ctx, this.program, this.ask).CombinedOutput()
		version := regexp.MustCompile(`development build|\d+\.\d+\.\d+[-+~.\w]*`).Find(said)
		all = append(all, contestant{this.name, string(version), address, m.pid})
	}
	return all, nil
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
func (m *member) await(ctx context.Context, address string) error {
	for end := time.Now().Add(patience); ; {
		conn, err := dial(address, end)
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
