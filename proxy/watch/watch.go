// Package watch sees what sockets cannot: the headers of a connection's packets, and what the kernel says of resets. Each
// observation is given to the leg of the connection that it belongs to.
//
//	packets, err := watch.OpenPackets(watch.Options{})
//	if err != nil {
//		packets = watch.Absent("no CAP_NET_RAW")
//	}
//	sources := watch.Sources{Packets: packets, Witness: watch.Absent("off")}
//	…
//	sources.Complete(ev, &watch.Connection{…}) // the connection has ended
//
// It watches by itself, and is asked about connections when they are over: the loops that carry bytes know nothing of it and
// never wait for it. It draws no conclusions, and it is not for capturing payload: of a packet it keeps the headers.
package watch

import (
	"net/netip"
	"slices"
	"time"

	"whyreset/diagnose/evidence"
)

// Connection is one that has ended, as its sockets were named. Times have a monotonic reading.
type Connection struct {
	Accepted, Ended time.Time
	FirstEnd        time.Time // when the first ending on either leg was noticed; zero: not before Ended
	Down, Up        Leg
	Meant           netip.AddrPort // where the client's packets go when the kernel rewrites that for us; else invalid
}

// Leg is the two ends of one leg; invalid where there was none.
type Leg struct{ Own, Far netip.AddrPort }

// leg is the leg of that name.
func (c *Connection) leg(l evidence.Leg) Leg {
	if l == evidence.Upstream {
		return c.Up
	}
	return c.Down
}

// firstEnd is FirstEnd, or Ended.
func (c *Connection) firstEnd() time.Time {
	if c.FirstEnd.IsZero() {
		return c.Ended
	}
	return c.FirstEnd
}

// Source is one way of watching. Its methods may be called from any goroutine.
type Source interface {
	// Of gives all that was seen of the connection until now, in no order, and the source's coverage of it: evidence.Watched, or
	// why not. At is since Accepted, and never negative.
	Of(*Connection) (seen []evidence.Observation, coverage string)
	// Active is false where there is nothing to be seen and never will be: nobody need wait for it.
	Active() bool
	Close()
}

// Absent is a source that is not there, and why.
type Absent string

func (a Absent) Of(*Connection) ([]evidence.Observation, string) { return nil, string(a) }
func (Absent) Active() bool                                      { return false }
func (Absent) Close()                                            {}

// Sources are all ways of watching beside the sockets.
type Sources struct{ Packets, Witness Source }

// Active says that one of them may see something.
func (s Sources) Active() bool { return s.Packets.Active() || s.Witness.Active() }

// Complete adds to the evidence of the sockets what the sources have seen.
func (s Sources) Complete(ev *evidence.Evidence, c *Connection) {
	packets, coverage := s.Packets.Of(c)
	ev.Coverage.Packets = coverage
	kernel, coverage := s.Witness.Of(c)
	ev.Coverage.Witness = coverage
	if len(packets)+len(kernel) == 0 {
		return
	}
	ev.Observations = slices.Concat(ev.Observations, packets, kernel)
	slices.SortStableFunc(ev.Observations, byAt)
}

// Without says in the evidence why the sources were not asked about a connection.
func (s Sources) Without(ev *evidence.Evidence, why string) {
	ev.Coverage.Packets, ev.Coverage.Witness = why, why
	if a, ok := s.Packets.(Absent); ok {
		ev.Coverage.Packets = string(a)
	}
	if a, ok := s.Witness.(Absent); ok {
		ev.Coverage.Witness = string(a)
	}
}

// Close ends them.
func (s Sources) Close() {
	s.Packets.Close()
	s.Witness.Close()
}
