package lab

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Step is one thing a scripted peer does.
type Step struct {
	name string
	run  func(*session)
}

func (s Step) String() string { return s.name }

// Sleep does nothing for a while, reading nothing either.
func Sleep(d time.Duration) Step {
	return Step{fmt.Sprintf("sleep %v", d), func(s *session) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.ctx.Done():
		}
	}}
}

// Stall keeps the connection and neither reads nor writes until the script is stopped or at its limit.
func Stall() Step {
	return Step{"stall", func(s *session) { <-s.ctx.Done() }}
}

// Wait does nothing until the channel is closed or gives a value: a way to order the steps of two peers.
func Wait(until <-chan struct{}) Step {
	return Step{"wait", func(s *session) {
		select {
		case <-until:
		case <-s.ctx.Done():
			s.trouble(fmt.Errorf("what the peer waited for did not come: %w", s.ctx.Err()))
		}
	}}
}

// WaitUnread does nothing until at least n bytes lie unread in the socket, so that a Close or Reset that follows is
// certain to throw them away.
func WaitUnread(n int) Step {
	return Step{fmt.Sprintf("wait for %d unread", n), func(s *session) { s.trouble(s.waitUnread(n)) }}
}

func (s *session) waitUnread(n int) error {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		got, err := unread(s.conn)
		if err != nil {
			return err
		}
		if got >= n {
			return nil
		}
		select {
		case <-ticker.C:
		case <-s.ctx.Done():
			return fmt.Errorf("%d bytes unread, waited for %d: %w", got, n, s.ctx.Err())
		}
	}
}

// WaitGone does nothing until the kernel has given the connection up, as a reset makes it, and takes no notice of how: an
// error stays for the step that comes next.
func WaitGone() Step {
	return Step{"wait until gone", func(s *session) { s.trouble(s.waitGone()) }}
}

func (s *session) waitGone() error {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		if over, err := gone(s.conn); over || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-s.ctx.Done():
			return fmt.Errorf("the connection is still there: %w", s.ctx.Err())
		}
	}
}

// CloseWrite ends what this side sends with a FIN.
func CloseWrite() Step {
	return Step{"close write", func(s *session) {
		tcp, err := tcpOf(s.conn)
		if err == nil {
			err = tcp.CloseWrite()
		}
		s.trouble(err)
		s.finished(&s.writeEnded)
	}}
}

// Close closes the socket. With bytes unread the kernel makes a reset of it (RFC 2525 §2.17), else it is a FIN.
func Close() Step {
	return Step{"close", func(s *session) {
		s.trouble(s.conn.Close())
		s.finished(&s.readEnded, &s.writeEnded)
	}}
}

// Reset destroys the socket with SO_LINGER 0: a RST is sent, and whatever was on its way out is lost.
func Reset() Step {
	return Step{"reset", func(s *session) {
		tcp, err := tcpOf(s.conn)
		if err == nil {
			err = errors.Join(tcp.SetLinger(0), tcp.Close())
		}
		s.trouble(err)
		s.finished(&s.readEnded, &s.writeEnded)
	}}
}

// UserTimeout sets for how long what was sent may go without an acknowledgement, or a shut window stay shut, before the kernel gives
// the connection up (TCP_USER_TIMEOUT).
func UserTimeout(d time.Duration) Step {
	return Step{fmt.Sprintf("user timeout %v", d), func(s *session) {
		tcp, err := tcpOf(s.conn)
		if err != nil {
			s.trouble(err)
			return
		}
		raw, err := tcp.SyscallConn()
		if err == nil {
			var callErr error
			err = raw.Control(func(fd uintptr) { callErr = setUserTimeout(int(fd), int(d.Milliseconds())) })
			err = errors.Join(err, callErr)
		}
		s.trouble(err)
	}}
}

// KeepAlive sets when the kernel begins to ask whether the other side is there, how often, and after how many unanswered probes it
// resets the connection. Whole seconds.
func KeepAlive(idle, interval time.Duration, count int) Step {
	return Step{fmt.Sprintf("keepalive %v %v %d", idle, interval, count), func(s *session) {
		tcp, err := tcpOf(s.conn)
		if err == nil {
			err = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: idle, Interval: interval, Count: count})
		}
		s.trouble(err)
	}}
}

// Vanish takes the connection away from its kernel without a word to the other side, as the restart of a host does
// (TCP_REPAIR). Only in a host of the lab is a process without privileges allowed to.
func Vanish() Step {
	return Step{"vanish", func(s *session) {
		s.trouble(vanish(s.conn))
		s.finished(&s.readEnded, &s.writeEnded)
	}}
}

// Call does anything else: sets an option of the socket, tells a test how far the script has come. It must not wait for
// longer than the script's limit.
func Call(name string, fn func(net.Conn) error) Step {
	return Step{name, func(s *session) {
		if err := fn(s.conn); err != nil {
			s.trouble(fmt.Errorf("%s: %w", name, err))
		}
	}}
}

// Together plays several lists of steps at the same time and goes on when all are done. At most one of them may read and
// at most one may write, for a stream has one order.
func Together(lists ...[]Step) Step {
	return Step{fmt.Sprintf("together %v", lists), func(s *session) {
		var all sync.WaitGroup
		for _, list := range lists {
			all.Add(1)
			go s.play(list, &all)
		}
		all.Wait()
	}}
}

func (s *session) play(list []Step, all *sync.WaitGroup) {
	defer all.Done()
	for _, step := range list {
		step.run(s)
	}
}

func (s *session) finished(directions ...*bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range directions {
		*d = true
	}
}

func tcpOf(conn net.Conn) (*net.TCPConn, error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, fmt.Errorf("a %T is not a TCP connection", conn)
	}
	return tcp, nil
}
