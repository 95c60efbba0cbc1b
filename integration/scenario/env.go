package scenario

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"sync"

	"whyreset/integration/lab"
)

// Env is where one scenario is played, once. What it starts ends with it.
type Env struct {
	Net   *lab.Net // the hosts; nil on loopback
	Place Place

	client, server, proxyHost host
	program                   Program
	scenario                  Scenario
	direct                    bool // without the proxy

	mu      sync.Mutex
	proxies []*proxyProcess
	over    chan struct{} // closed when the client has ended
	closing []func()
}

// host is where sockets are made and processes started: one of the lab's, or this machine.
type host interface {
	Listen(network, address string) (net.Listener, error)
	Dial(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error)
	Start(*exec.Cmd) error
}

// machine is the host without a lab.
type machine struct{}

func (machine) Listen(network, address string) (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	return config.Listen(context.Background(), network, address)
}

func (machine) Dial(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	var dialer net.Dialer
	dialer.SetMultipathTCP(false)
	return dialer.DialContext(ctx, network, to.String())
}

func (machine) Start(cmd *exec.Cmd) error { return cmd.Start() }

func newEnv(s Scenario, p Place, program Program, direct bool) (*Env, error) {
	e := &Env{Place: p, client: machine{}, server: machine{}, proxyHost: machine{}, program: program, scenario: s,
		direct: direct, over: make(chan struct{})}
	if !p.Hosts {
		return e, nil
	}
	var err error
	o := lab.Options{Delay: s.Delay, Jitter: s.Jitter}
	switch {
	case p.Transparent && s.NearServer:
		o.Gateway = lab.BesideServer
	case p.Transparent:
		o.Gateway = lab.BesideClient
	}
	if e.Net, err = lab.New(o); err != nil {
		return nil, err
	}
	e.client, e.server = e.Net.Client, e.Net.Server
	e.proxyHost = e.Proxy()
	return e, nil
}

// Proxy is the host of the lab where the proxy runs.
func (e *Env) Proxy() *lab.Host {
	switch {
	case e.Place.Transparent:
		return e.Net.Gateway
	case e.scenario.NearServer:
		return e.Net.Server
	}
	return e.Net.Client
}

func (e *Env) addr(h *lab.Host) netip.Addr {
	switch {
	case !e.Place.Hosts && e.Place.IPv6:
		return netip.IPv6Loopback()
	case !e.Place.Hosts:
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case e.Place.IPv6:
		return h.Addr6()
	}
	return h.Addr4()
}

// ServerAddr is the server's address.
func (e *Env) ServerAddr() netip.Addr {
	if e.Net == nil {
		return e.addr(nil)
	}
	return e.addr(e.Net.Server)
}

// Listen listens on the server's host, on any port.
func (e *Env) Listen() (net.Listener, netip.AddrPort, error) {
	ln, err := e.server.Listen("tcp", netip.AddrPortFrom(e.ServerAddr(), 0).String())
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	e.later(func() { ln.Close() })
	return ln, ln.Addr().(*net.TCPAddr).AddrPort(), nil
}

// Dial connects from the client's host.
func (e *Env) Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return e.client.Dial(ctx, "tcp", to)
}

// Through returns where a client has to connect to so as to reach the upstream: the address of a proxy that it starts or,
// when the scenario is played without one, the upstream itself. An invalid upstream stands for a name without addresses.
func (e *Env) Through(upstream netip.AddrPort) (netip.AddrPort, error) {
	if e.direct {
		return upstream, nil
	}
	if e.Place.Transparent {
		return upstream, e.intercept(upstream)
	}
	return e.startProxy(netip.AddrPortFrom(e.proxyAddr(), 0), upstream)
}

// Looped starts a proxy whose upstream is itself.
func (e *Env) Looped() (netip.AddrPort, error) {
	// A port that is free now and, as the kernel gives ports in no order, will be so in a moment.
	ln, err := e.proxyHost.Listen("tcp", netip.AddrPortFrom(e.proxyAddr(), 0).String())
	if err != nil {
		return netip.AddrPort{}, err
	}
	at := ln.Addr().(*net.TCPAddr).AddrPort()
	ln.Close()
	return e.startProxy(at, at)
}

func (e *Env) proxyAddr() netip.Addr {
	if e.Net == nil {
		return e.addr(nil)
	}
	return e.addr(e.Proxy())
}

func (e *Env) startProxy(at, upstream netip.AddrPort) (netip.AddrPort, error) {
	return e.start(Order{Listen: at, Upstream: upstream, Settings: e.scenario.Proxy})
}

func (e *Env) start(o Order) (netip.AddrPort, error) {
	p, err := startProxy(e.proxyHost, e.program, o)
	if err != nil {
		return netip.AddrPort{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.proxies = append(e.proxies, p)
	return p.address, nil
}

// StopProxy stops the proxies as an administrator would, and returns when they have ended.
func (e *Env) StopProxy() {
	e.mu.Lock()
	proxies := e.proxies
	e.mu.Unlock()
	for _, p := range proxies {
		p.stop()
	}
}

// Serve plays the script on each connection to the listener.
func (e *Env) Serve(ln net.Listener, steps ...lab.Step) *lab.Peer {
	peer := lab.Serve(ln, lab.Script{Steps: steps})
	e.later(peer.Stop)
	return peer
}

// ServeUntilKilled starts a server process on the listener, which it takes over. ready is called when the server has read
// so many bytes of its first connection and has so many more unread; to kill it is up to the caller.
func (e *Env) ServeUntilKilled(ln net.Listener, read, unread int) (server *process, ready func() error, err error) {
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	server, err = startPart(e.server, e.program, fmt.Sprintf("server %d %d", read, unread), file)
	if err != nil {
		return nil, nil, err
	}
	ln.Close()
	e.later(server.Kill)
	return server, func() error {
		line, err := server.lines.ReadString('\n')
		if err != nil || line != "ready\n" {
			return errors.Join(fmt.Errorf("the server said %q", line), err)
		}
		return nil
	}, nil
}

// UntilClientEnds is a step of a server that does nothing until the client has ended.
func (e *Env) UntilClientEnds() lab.Step { return lab.Wait(e.over) }

// Client connects, plays the steps and returns what came of them. To be called once.
func (e *Env) Client(ctx context.Context, to netip.AddrPort, steps ...lab.Step) Outcome {
	defer close(e.over)
	conn, err := e.Dial(ctx, to)
	if err != nil {
		return Outcome{DialErr: err}
	}
	return Outcome{Client: lab.Run(ctx, conn, lab.Script{Steps: steps})}
}

// Line is a listening server with the way to it.
type Line struct {
	env      *Env
	Listener net.Listener
	Upstream netip.AddrPort // where the server listens
	To       netip.AddrPort // where a client connects to so as to reach it
}

// Open opens a line to a new server.
func (e *Env) Open() (*Line, error) {
	ln, upstream, err := e.Listen()
	if err != nil {
		return nil, err
	}
	to, err := e.Through(upstream)
	if err != nil {
		return nil, err
	}
	return &Line{env: e, Listener: ln, Upstream: upstream, To: to}, nil
}

// Talk plays a server's and a client's steps on one connection and returns when both have ended.
func (l *Line) Talk(ctx context.Context, server, client []lab.Step) (Outcome, error) {
	peer := l.env.Serve(l.Listener, server...)
	out := l.env.Client(ctx, l.To, client...)
	if out.DialErr != nil {
		return out, nil
	}
	var err error
	out.Server, err = peer.Next(ctx)
	out.Served = err == nil
	return out, err
}

// Talk opens a line and plays on it.
func (e *Env) Talk(ctx context.Context, server, client []lab.Step) (Outcome, error) {
	l, err := e.Open()
	if err != nil {
		return Outcome{}, err
	}
	return l.Talk(ctx, server, client)
}

// talk is a Run in which both only play steps.
func talk(server, client []lab.Step) func(context.Context, *Env) (Outcome, error) {
	return func(ctx context.Context, e *Env) (Outcome, error) { return e.Talk(ctx, server, client) }
}

// steps is short for a list of them.
func steps(all ...lab.Step) []lab.Step { return all }

// later is done in the end, the last first.
func (e *Env) later(fn func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closing = append(e.closing, fn)
}

// endAll ends everything but the hosts, and the proxies last: a connection that one of them has not even accepted yet must
// not be ended by their stop.
func (e *Env) endAll() {
	for i := len(e.closing) - 1; i >= 0; i-- {
		e.closing[i]()
	}
	e.closing = nil
	for _, p := range e.proxies {
		p.awaitReport()
	}
	e.StopProxy()
}

// close ends everything.
func (e *Env) close() error {
	e.endAll()
	if e.Net != nil {
		return e.Net.Close()
	}
	return nil
}

// do is a step that does something to the hosts.
func do(what string, fn func() error) lab.Step {
	return lab.Call(what, func(net.Conn) error { return fn() })
}

// tell is a step that lets the other side's Wait go on.
func tell(news chan struct{}) lab.Step {
	return do("tell", func() error {
		close(news)
		return nil
	})
}
