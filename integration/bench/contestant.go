package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"time"
)

// contestant is a running relay from an address of its own to the backend.
type contestant struct {
	name, version, address string
	member                 *member
}

const reference = "HAProxy" // whom the others are compared with

// Both are as fast as their manuals make them, and log nothing.
const haproxyConfig = `global
    nbthread %d
    maxconn 4096
defaults
    mode tcp
    option splice-auto
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen bench
    bind %s
    server backend %s
`

const nginxConfig = `load_module %s;
daemon off;
pid nginx.pid;
worker_processes %d;
events { worker_connections 4096; }
stream {
    server {
        listen %s reuseport;
        proxy_pass %s;
        proxy_timeout 1h;
    }
}
`

const nginxModule = "/usr/lib/nginx/modules/ngx_stream_module.so"

// missing says what is not installed, and is empty if all is.
func missing() string {
	for _, program := range []string{"haproxy", "nginx"} {
		if find(program) == "" {
			return program + " is not installed"
		}
	}
	if _, err := os.Stat(nginxModule); err != nil {
		return "nginx's stream module is not installed: " + err.Error()
	}
	return ""
}

// find also looks where Debian keeps what an ordinary user's PATH does not hold.
func find(program string) string {
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	path, _ := exec.LookPath("/usr/sbin/" + program)
	return path
}

// assemble starts the backend and the contestants, and returns when each carries bytes.
func (c *crew) assemble(ctx context.Context) ([]contestant, error) {
	if text := missing(); text != "" {
		return nil, fmt.Errorf("%s: install haproxy, nginx and libnginx-mod-stream", text)
	}
	server, err := c.startRole("backend", "")
	if err != nil {
		return nil, err
	}
	backend, err := server.line(ctx, patience)
	if err != nil {
		return nil, err
	}
	program := filepath.Join(c.dir, "whyreset")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "whyreset/cmd/whyreset")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	cores := runtime.NumCPU()
	haproxy, nginx := find("haproxy"), find("nginx")
	var all []contestant
	for _, this := range []struct {
		name, program, ask string
		config             func(address string) string
		arguments          func(address, file string) []string
	}{
		{reference, haproxy, "-v",
			func(a string) string { return fmt.Sprintf(haproxyConfig, cores, a, backend) },
			func(_, file string) []string { return []string{"-db", "-f", file} }},
		{"nginx", nginx, "-v",
			func(a string) string { return fmt.Sprintf(nginxConfig, nginxModule, cores, a, backend) },
			func(_, file string) []string { return []string{"-p", c.dir, "-e", "stderr", "-c", file} }},
		// The empty file keeps the machine's own configuration out.
		{"whyreset", program, "version",
			func(string) string { return "" },
			func(a, file string) []string {
				return []string{"run", "--config", file, "--forward", a + "=" + backend, "--log.format", "json",
					"--log.output", filepath.Join(c.dir, "records.json"), "--log.sample_clean", "1", "--timeouts.stop_grace", "1s"}
			}},
	} {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		file := filepath.Join(c.dir, this.name+".yaml")
		if err := os.WriteFile(file, []byte(this.config(address)), 0o600); err != nil {
			return nil, err
		}
		m, err := c.start(this.name, exec.Command(this.program, this.arguments(address, file)...))
		if err != nil {
			return nil, err
		}
		if err := m.await(ctx, address); err != nil {
			return nil, m.fault(fmt.Errorf("%s: %w", this.name, err))
		}
		said, _ := exec.Command(this.program, this.ask).CombinedOutput()
		version := string(regexp.MustCompile(`\d+\.\d+\.\d+[-+~.\w]*|\(devel\)`).Find(said))
		all = append(all, contestant{this.name, version, address, m})
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
	for end := time.Now().Add(20 * time.Second); ; {
		conn, err := dial(address, end)
		if err == nil {
			err = ask(conn)
			conn.Close()
		}
		if err == nil || time.Now().After(end) {
			return err
		}
		select {
		case <-m.gone:
			return fmt.Errorf("it ended: %s", m.ProcessState)
		default:
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}
