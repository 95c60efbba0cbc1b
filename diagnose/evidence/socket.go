package evidence

import "time"

// Socket is what a call on a leg's socket told.
type Socket struct {
	Call  Call
	Saw   Saw
	Errno Errno // of Error only
}

// Call is the call that told it. Its names are part of the record.
type Call uint8

const (
	NoCall  Call = iota
	Accept       // accept4
	Connect      // connect, or its outcome
	Recv         // recv, or splice from the socket
	Send         // send, or splice to the socket
	Poll         // epoll's bits, and SO_ERROR behind them
)

// Saw is what there was to see.
type Saw uint8

const (
	NoSaw     Saw = iota
	Connected     // the handshake is complete
	Data          // first bytes from this leg since the last event on either
	FIN           // the far end has ended its direction
	Error         // the connection is over; Errno says how
)

func (Socket) source() Source { return Sockets }

// Snapshot is TCP_INFO of one leg, with the two queues, at one moment.
type Snapshot struct {
	State                                   uint8
	Retransmits, Probes, Backoff            uint8
	RTO, RTT, RTTVar, MinRTT                time.Duration // zero: no sample
	LastDataSent, LastDataRecv, LastAckRecv time.Duration // how long ago, resolution 1 ms
	Unacked, Lost, TotalRetrans             uint32        // segments
	SndMSS, SndWnd                          uint32        // bytes
	NotSent                                 uint32        // bytes queued and never sent
	BytesAcked, BytesReceived               uint64
	BytesSent, BytesRetrans                 uint64
	SegsIn, SegsOut                         uint32
	Unread                                  uint32 // bytes received by our kernel that nobody read
	Outstanding                             uint32 // bytes sent or queued that the peer's kernel has not acknowledged; after a reset: lost
}

func (Snapshot) source() Source { return Sockets }

// Transfer is the relay's own account of one leg: bytes in from the far end and out to it, and when
// the last of them moved (since the connection was accepted; meaningless while the count is zero).
type Transfer struct {
	In, Out         uint64
	LastIn, LastOut time.Duration
}

func (Transfer) source() Source { return Sockets }
