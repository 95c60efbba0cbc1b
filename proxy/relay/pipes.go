package relay

import (
	"time"

	"whyreset/proxy/kernel"
)

// pipes lends kernel pipes to the flows of one loop that carry much. Pipes are scarce: without
// CAP_SYS_RESOURCE a user has fs.pipe-user-pages-soft pages, 64 MB, in all. None to be had means that
// the flow is copied.
type pipes struct {
	idle  []kernel.Pipe
	lent  int
	limit int
	tight int64 // the kernel refused one: until then it is not asked again
}

// tightFor is how long to do without after the kernel refused: it costs calls to ask.
const tightFor = int64(time.Second)

// Sizes to ask for. Measured on bulk: 1 MiB costs 0.8-0.95 × the CPU of 256 KiB, 64 KiB 1.2 ×.
const (
	bigPipe   = 1 << 20
	smallPipe = 256 << 10
	bigPipes  = 16 // of each loop; the rest are small, to leave some for others of this user
)

func (s *pipes) lease(now int64) (kernel.Pipe, bool) {
	if n := len(s.idle); n > 0 {
		p := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.lent++
		return p, true
	}
	if now < s.tight || s.lent >= s.limit {
		return kernel.Pipe{}, false
	}
	size := smallPipe
	if s.lent < bigPipes {
		size = bigPipe
	}
	p, err := kernel.NewPipe(size)
	if err != nil && size == bigPipe {
		p, err = kernel.NewPipe(smallPipe)
	}
	if err != nil {
		s.tight = now + tightFor
		return kernel.Pipe{}, false
	}
	s.lent++
	return p, true
}

// giveBack returns an empty pipe to the pool, or closes one with bytes left: they belong to a
// connection that is over.
func (s *pipes) giveBack(p kernel.Pipe, left int) {
	s.lent--
	if left > 0 || len(s.idle) >= keepPipes {
		p.Close()
		return
	}
	s.idle = append(s.idle, p)
}

// keepPipes bounds the idle ones: enough that a steady load makes none.
const keepPipes = 16

func (s *pipes) close() {
	for _, p := range s.idle {
		p.Close()
	}
	s.idle = nil
}
