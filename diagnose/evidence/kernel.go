package evidence

// Kernel is what a tracepoint of this machine's kernel told of a reset: tcp:tcp_send_reset and tcp:tcp_receive_reset.
//
// Sent says that a TCP stack of this machine made it; the kernel tells it of every network namespace, so the maker may be a container
// beside us. What it does not tell of was not made by a TCP stack here: nf_reject and raw sockets make none. A reset that a
// call makes is told as sent when it is on its way, which may be after it is told as received.
type Kernel struct {
	Sent bool // tcp_send_reset: made here; else tcp_receive_reset: a socket here accepted it
	From Leg  // the end that sent it: Downstream, Upstream or, for our own, NoLeg
	To   Leg  // the end that it was sent to, likewise

	// Reason is enum sk_rst_reason without its prefix, such as NO_SOCKET or TCP_ABORT_ON_DATA; empty: the kernel does not tell it
	// (before 6.10, active ones before 6.12, and of every reset received).
	Reason string
	State  uint8 // of the socket by then (TCP_ESTABLISHED is 1); zero: none, or not told

	// The process of which a call made the reset (close, exit, connect, a destruction from outside). An answer to a packet, or a
	// timer's reset, is made in whoever's time that came: then it is not told.
	Process string // comm of the whole process, not of a thread; empty: not told
	PID     uint32 // zero: not told
	Foreign bool   // of another network namespace than this process's

	// Listener says that the reset answers for a socket that listens: the kernel gives its port and no far end, so it was found by
	// port and time and not by four-tuple.
	Listener bool
}

func (Kernel) source() Source { return Witness }

// Reasons that a rule reads, by their names in include/net/rstreason.h.
const (
	ReasonNoSocket         = "NO_SOCKET"             // no socket of this four-tuple, and none that listens
	ReasonFlags            = "TCP_FLAGS"             // a listening socket met a packet of a connection that it does not know
	ReasonInvalidSYN       = "INVALID_SYN"           // tcp_check_req: also a full accept queue with tcp_abort_on_overflow
	ReasonAbortOnData      = "TCP_ABORT_ON_DATA"     // data after close
	ReasonTimeWait         = "TCP_TIMEWAIT_SOCKET"   // data after close, its FIN acknowledged
	ReasonAbortOnClose     = "TCP_ABORT_ON_CLOSE"    // closed with bytes unread
	ReasonAbortOnLinger    = "TCP_ABORT_ON_LINGER"   // closed in FIN_WAIT2 with a negative TCP_LINGER2
	ReasonAbortOnMemory    = "TCP_ABORT_ON_MEMORY"   // tcp_check_oom, tcp_out_of_resources
	ReasonState            = "TCP_STATE"             // tcp_disconnect (SO_LINGER 0, AF_UNSPEC, a listener closed) and tcp_abort (ss -K)
	ReasonKeepaliveTimeout = "TCP_KEEPALIVE_TIMEOUT" // tcp_keepalive_timer
)
