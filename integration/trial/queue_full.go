package trial

import (
	"context"
	"errors"
	"net"
	"time"

	"whyreset/integration/lab"
	"whyreset/integration/scenario"
)

// queueFull fills the accept queue between the server's SYN-ACK and the client's acknowledgement: tcp_v4_syn_recv_sock finds no room,
// and with tcp_abort_on_overflow tcp_check_req sends a reset. A queue that is full when the SYN comes drops it instead.
func queueFull(p *player) (scenario.Outcome, error) {
	if err := p.open(); err != nil {
		return scenario.Outcome{}, err
	}
	if err := p.Net.Server.Sysctl("net.ipv4.tcp_abort_on_overflow", "1"); err != nil {
		return scenario.Outcome{}, err
	}
	// None would be too few: then the kernel answers SYNs with cookies, and drops what it has no room for.
	const backlog = 2
	if err := lab.Backlog(p.line.Listener, backlog); err != nil {
		return scenario.Outcome{}, err
	}
	var others []net.Conn
	other := func(ctx context.Context) error {
		c, err := p.Net.Server.Dial(ctx, "tcp", p.line.Upstream)
		if err == nil {
			others = append(others, c)
		}
		return err
	}
	for range backlog { // and one more has room
		if err := other(p.ctx); err != nil {
			return scenario.Outcome{}, err
		}
	}
	ctx, cancel := context.WithCancel(p.ctx)
	filled := make(chan error, 1)
	go func() {
		soon, done := context.WithTimeout(ctx, 2*time.Second)
		defer done()
		err := p.Net.Server.WaitHandshake(soon, p.port())
		if err == nil {
			err = other(soon) // which fails if the proxy's connection is in the queue already
		}
		if err == nil {
			err = p.stillOpening()
		}
		if err != nil {
			err = errors.Join(ErrTooSlow, err)
			cancel() // the client would wait in vain
		}
		filled <- err
	}()
	out := p.Client(ctx, p.line.To, lab.Write(p.size()), lab.ReadAll())
	cancel()
	err := <-filled
	for _, c := range others {
		c.Close()
	}
	return out, err
}

// stillOpening says that the proxy's kernel has not answered the SYN-ACK yet.
func (p *player) stillOpening() error {
	now, done := context.WithCancel(p.ctx)
	done()
	return p.Net.Server.WaitHandshake(now, p.port())
}
