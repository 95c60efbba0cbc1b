package record

import (
	"net/netip"
	"time"

	"whyreset/diagnose"
	"whyreset/diagnose/evidence"
)

// Connection is all that is told of one connection.
type Connection struct {
	Time     time.Time // when the record is made; zero: the connection's end
	By       Identity
	ID       string // unique, see NewID
	Sequence uint64 // number of the connection since the program started, from 1
	Listener string // its name; empty: it was not ours
	File     string // the capture it was found in, as named on the command line; empty: none
	Target   string // the upstream as configured; empty where the client's own aim is dialled
	Start    time.Time
	Duration time.Duration // from Start to the end

	Destination          netip.AddrPort // what the client meant; invalid when never known
	Downstream, Upstream Leg

	// Evidence has the legs' addresses as its own. Parse leaves it nil when the record could not carry it.
	Evidence *evidence.Evidence
	Verdict  diagnose.Verdict
	Earlier  *Earlier // the verdict before this one, where another; nil: there is none
	Capture  *Capture // of a connection with a RST in a capture file; else nil
}

// Leg is the two ends of one leg; invalid where there was none.
type Leg struct{ Local, Remote netip.AddrPort }

// Identity says which program wrote a record.
type Identity struct {
	Version string // of whyreset
	Host    string // its name; empty: left to the collecting agent
}

// made is the time that the record bears.
func (c *Connection) made() time.Time {
	if c.Time.IsZero() {
		return c.Start.Add(c.Duration)
	}
	return c.Time
}
