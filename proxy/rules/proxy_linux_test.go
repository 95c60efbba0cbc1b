package rules_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"whyreset/integration/lab"
	"whyreset/proxy/intercept"
	"whyreset/proxy/kernel"
	"whyreset/proxy/rules"
)

// proxyVar holds the settings of the throw-away proxy that this program is to be instead of running tests. It is a process
// of its own, for it is to be killed.
const proxyVar = "WHYRESET_RULES_TEST_PROXY"

func TestMain(m *testing.M) {
	if text, told := os.LookupEnv(proxyVar); told {
		os.Exit(serveAsProxy(text))
	}
	os.Exit(lab.Main(m.Run))
}

type proxySettings struct {
	Mode   intercept.Mode
	Source intercept.Source
	Mark   uint32
	Port   uint16
	Own    bool
}

// carried is what the proxy tells of each connection, one line of JSON each.
type carried struct {
	Client, To netip.AddrPort
	Refused    string
	Errno      syscall.Errno // of the dial
	Offender   netip.Addr    // who sent the ICMP error, if there was one
}

func serveAsProxy(text string) int {
	var s proxySettings
	err := json.Unmarshal([]byte(text), &s)
	if err == nil {
		err = s.serve()
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func (s proxySettings) serve() error {
	way := &intercept.Way{Mode: s.Mode, Source: s.Source, Mark: s.Mark,
		Listen: netip.AddrPortFrom(netip.IPv6Unspecified(), s.Port), Policy: &intercept.Policy{Own: s.Own}}
	if err := way.Policy.Refresh(); err != nil {
		return err
	}
	fd, err := kernel.Listen(way.Listen, true, kernel.Options{})
	if err != nil {
		return err
	}
	if err := way.Prepare(fd); err != nil {
		return err
	}
	ln, err := net.FileListener(os.NewFile(uintptr(fd), "listener"))
	if err != nil {
		return err
	}
	fmt.Println("ready")
	var one sync.Mutex
	out := json.NewEncoder(os.Stdout)
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			c, up := carry(way, conn.(*net.TCPConn))
			one.Lock()
			out.Encode(c)
			one.Unlock()
			if up == nil {
				conn.(*net.TCPConn).SetLinger(0)
				conn.Close()
				return
			}
			go pump(up, conn.(*net.TCPConn))
			pump(conn.(*net.TCPConn), up)
		}()
	}
}

// carry finds the destination and connects to it.
func carry(way *intercept.Way, conn *net.TCPConn) (c carried, up *net.TCPConn) {
	local := conn.LocalAddr().(*net.TCPAddr).AddrPort()
	local = netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
	c.Client = conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	c.Client = netip.AddrPortFrom(c.Client.Addr().Unmap(), c.Client.Port())
	raw, err := conn.SyscallConn()
	if err != nil {
		c.Refused = err.Error()
		return c, nil
	}
	var why intercept.Refusal
	raw.Control(func(fd uintptr) { c.To, why = way.Aim(int(fd), local) })
	if c.Refused = why.String(); why != intercept.Fine {
		return c, nil
	}
	fd, errno := way.Dial(c.Client, c.To, kernel.Options{})
	if errno != 0 && errno != syscall.EINPROGRESS {
		c.Errno = errno
		kernel.Close(fd)
		return c, nil
	}
	file := os.NewFile(uintptr(fd), "upstream")
	defer file.Close() // net.FileConn makes a copy
	rawUp, err := file.SyscallConn()
	if err == nil {
		err = rawUp.Write(func(fd uintptr) bool { // an ICMP error that came before connect returned leaves the state as it is
			icmp, ok := kernel.TakeICMP(int(fd))
			if ok {
				c.Errno, c.Offender = icmp.Errno, icmp.Offender
			}
			return ok || kernel.State(int(fd)) != kernel.StateSynSent
		})
	}
	if err != nil {
		c.Refused = err.Error()
		return c, nil
	}
	rawUp.Control(func(fd uintptr) {
		if c.Errno == 0 {
			c.Errno = kernel.TakeError(int(fd))
		}
		kernel.EndConnectPhase(int(fd), c.To.Addr())
	})
	if c.Errno != 0 {
		return c, nil
	}
	copied, err := net.FileConn(file)
	if err != nil {
		c.Refused = err.Error()
		return c, nil
	}
	return c, copied.(*net.TCPConn)
}

// pump copies one direction and passes its end on.
func pump(to, from *net.TCPConn) {
	io.Copy(to, from)
	to.CloseWrite()
}

// proxyProcess is a throw-away proxy that runs in a host.
type proxyProcess struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	ended bool
}

func startProxy(t *testing.T, h *lab.Host, s rules.Settings, c rules.Capture, as *syscall.Credential) *proxyProcess {
	t.Helper()
	text, err := json.Marshal(proxySettings{
		Mode:   map[rules.Mode]intercept.Mode{rules.Redirect: intercept.Redirect, rules.TProxy: intercept.TProxy}[c.Mode],
		Source: map[rules.Source]intercept.Source{rules.SourceOwn: intercept.Own, rules.SourceClientIP: intercept.ClientIP, rules.SourceClient: intercept.Client}[c.Source],
		Mark:   s.Mark, Port: c.Port, Own: s.Placement == rules.Server || s.Placement == rules.Pod,
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &proxyProcess{cmd: exec.Command("/proc/self/exe")}
	p.cmd.Env = append(os.Environ(), proxyVar+"="+string(text))
	p.cmd.Stderr = os.Stderr
	if as != nil {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(p.cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	p.lines = bufio.NewScanner(out)
	if !p.lines.Scan() || p.lines.Text() != "ready" {
		t.Fatalf("the proxy in %v is not ready: %q, %v", h, p.lines.Text(), p.lines.Err())
	}
	return p
}

// kill is kill -9, and returns when the process and its sockets are gone.
func (p *proxyProcess) kill() {
	if !p.ended {
		p.ended = true
		p.cmd.Process.Kill()
		p.cmd.Wait()
	}
}

// next is what the proxy says of the next connection.
func (p *proxyProcess) next(t *testing.T) (c carried) {
	t.Helper()
	stuck := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	defer stuck.Stop()
	if !p.lines.Scan() {
		t.Fatalf("the proxy saw no connection within %v: %v", patience, p.lines.Err())
	}
	if err := json.Unmarshal(p.lines.Bytes(), &c); err != nil {
		t.Fatalf("%q: %v", p.lines.Text(), err)
	}
	return c
}

// patience bounds waits for what must happen soon, on a machine that has much else to do.
const patience = 20 * time.Second
