package lab

import (
	"bytes"
	"fmt"
	"time"
)

// chunk is the most that one Read or Write call is given.
const chunk = 64 << 10

// Read reads n bytes of the pattern. Fewer are read when the stream ends.
func Read(n int64) Step {
	return Step{fmt.Sprintf("read %d", n), func(s *session) { s.read(n) }}
}

// ReadAll reads to the end of the stream, whatever it is.
func ReadAll() Step {
	return Step{"read all", func(s *session) { s.read(-1) }}
}

// ReadBytes reads len(want) bytes and compares them. They do not count as part of the pattern.
func ReadBytes(want []byte) Step {
	return Step{fmt.Sprintf("read %q", want), func(s *session) { s.readBytes(want) }}
}

// Write sends the next n bytes of the pattern.
func Write(n int64) Step {
	return Step{fmt.Sprintf("write %d", n), func(s *session) { s.write(n) }}
}

// WriteBytes sends b, which does not count as part of the pattern.
func WriteBytes(b []byte) Step {
	return Step{fmt.Sprintf("write %q", b), func(s *session) { s.send(b) }}
}

// read reads n bytes of the pattern, or all that come if n is negative.
func (s *session) read(n int64) {
	buf := make([]byte, chunk)
	for n != 0 && !s.over(&s.readEnded) {
		part := buf
		if n > 0 {
			part = buf[:min(n, chunk)]
		}
		got := s.receive(part)
		s.mu.Lock()
		if at := s.script.Expects.Check(part[:got], s.readAt); at >= 0 {
			s.damaged(s.out.Read-int64(got)+int64(at), part[at])
		}
		s.readAt += int64(got)
		s.mu.Unlock()
		if n > 0 {
			n -= int64(got)
		}
	}
}

func (s *session) readBytes(want []byte) {
	buf := make([]byte, len(want))
	for len(want) > 0 && !s.over(&s.readEnded) {
		got := s.receive(buf[:len(want)])
		if !bytes.Equal(buf[:got], want[:got]) {
			at := 0
			for buf[at] == want[at] {
				at++
			}
			s.mu.Lock()
			s.damaged(s.out.Read-int64(got)+int64(at), buf[at])
			s.mu.Unlock()
		}
		want = want[got:]
	}
}

// receive makes one call and takes down what came of it.
func (s *session) receive(b []byte) int {
	n, err := s.conn.Read(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.Read += int64(n)
	if err != nil {
		s.readEnded = true
		s.out.End, s.out.ReadErr = ended(err)
	}
	return n
}

// damaged is called with the mutex held. Only the first wrong byte is worth telling: after a lost one all are wrong.
func (s *session) damaged(at int64, got byte) {
	if s.out.Damage == nil {
		s.out.Damage = fmt.Errorf("received byte %d is %#02x, which is not what belongs there", at, got)
	}
}

func (s *session) write(n int64) {
	buf := make([]byte, min(n, chunk))
	for n > 0 && !s.over(&s.writeEnded) {
		part := buf[:min(n, chunk)]
		s.mu.Lock()
		s.script.Sends.Fill(part, s.writeAt)
		s.writeAt += int64(len(part))
		s.mu.Unlock()
		s.send(part)
		n -= int64(len(part))
	}
}

func (s *session) send(b []byte) {
	if s.over(&s.writeEnded) {
		return
	}
	n, err := s.conn.Write(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.Written += int64(n)
	if err != nil {
		s.writeEnded = true
		s.out.WriteErr = err
	}
}

// WriteUntilCut sends the pattern on, a byte each millisecond, until that fails: so the writer is certain to learn of a
// reset that answers its bytes.
func WriteUntilCut() Step {
	return Step{"write until cut", func(s *session) {
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for !s.over(&s.writeEnded) {
			s.write(1)
			select {
			case <-ticker.C:
			case <-s.ctx.Done():
				return
			}
		}
	}}
}
