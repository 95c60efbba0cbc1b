package trial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
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
		err := p.awaitOpening(ctx)
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

// awaitOpening waits until the server's kernel has answered a SYN.
func (p *player) awaitOpening(ctx context.Context) error {
	for {
		if n, err := p.opening(); n > 0 || err != nil {
			return err
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ErrTooSlow
		}
	}
}

// stillOpening says that the SYN's sender has not answered yet.
func (p *player) stillOpening() error {
	n, err := p.opening()
	if err == nil && n == 0 {
		err = ErrTooSlow
	}
	return err
}

// opening is how many handshakes wait for their last packet at the server.
func (p *player) opening() (n int, err error) {
	file := "/proc/thread-self/net/tcp"
	if p.Place.IPv6 {
		file += "6"
	}
	err = p.Net.Server.Do(func() error {
		table, err := os.ReadFile(file)
		const synReceived = "03"
		for line := range strings.Lines(string(table)) {
			f := strings.Fields(line)
			if len(f) > 3 && f[3] == synReceived && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", p.port())) {
				n++
			}
		}
		return err
	})
	return n, err
}
