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
	ctx, cancel := context.WithCancel(p.ctx)
	filled := make(chan error, 1)
	var others []net.Conn
	go func() {
		err := p.Net.Server.WaitHandshake(ctx, p.port())
		soon, done := context.WithTimeout(ctx, time.Second)
		defer done()
		for range backlog + 1 {
			if err == nil {
				var c net.Conn
				if c, err = p.Net.Server.Dial(soon, "tcp", p.line.Upstream); errors.Is(soon.Err(), context.DeadlineExceeded) {
					err = ErrTooSlow // the proxy's connection is in the queue, and this one has no room
				}
				others = append(others, c)
			}
		}
		if err == nil {
			err = p.stillOpening()
		}
		if err != nil {
			cancel() // the client would wait in vain
		}
		filled <- err
	}()
	out := p.Client(ctx, p.line.To, lab.Write(p.size()), lab.ReadAll())
	cancel()
	err := <-filled
	for _, c := range others {
		if c != nil {
			c.Close()
		}
	}
	return out, err
}

// stillOpening says that the proxy's kernel has not answered the SYN-ACK yet.
func (p *player) stillOpening() error {
	now, done := context.WithCancel(p.ctx)
	done()
	if p.Net.Server.WaitHandshake(now, p.port()) != nil {
		return ErrTooSlow
	}
	return nil
}
